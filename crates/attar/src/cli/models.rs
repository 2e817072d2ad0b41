//! Where command lines name model directories that are read: what may be a name of the hub instead.

use std::path::PathBuf;

use super::Command;
use super::augment::CandidatesKind;
use super::export::ExportCommand;
use super::vocab::VocabCommand;
use crate::hub;

impl Command {
    /// Replaces names of the hub by the directories that models were fetched to.
    ///
    /// # Errors
    /// If a name is none of the hub's, or its model cannot be fetched.
    pub(crate) fn locate_models(&mut self) -> anyhow::Result<()> {
        if let Command::Serve(args) = self {
            return args.bundles.iter_mut().try_for_each(locate_bundle);
        }
        hub::locate_all(self.models())
    }

    fn models(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Command::Finetune(args) => args.model.iter_mut().collect(),
            Command::Distill(args) => args.teacher.iter_mut().chain(&mut args.shape.student).collect(),
            Command::Pretrain(args) => args.model.iter_mut().collect(),
            Command::Augment(args) => {
                let models = args.candidates.iter_mut().filter(|source| source.kind == CandidatesKind::MaskedLm);
                models.map(|source| &mut source.path).collect()
            }
            Command::Glue(args) => args.teacher.iter_mut().chain(&mut args.shape.student).collect(),
            Command::Eval(args) => args.models.iter_mut().chain(&mut args.encoder).collect(),
            Command::Predict(args) => vec![&mut args.model],
            Command::Embed(args) => vec![&mut args.model],
            Command::Contract(args) => vec![&mut args.teacher],
            Command::Report(args) => args.encoder.iter_mut().collect(),
            Command::Inspect(args) => vec![&mut args.model],
            Command::Quantize(args) => vec![&mut args.model],
            Command::Bench(args) => args.models.iter_mut().collect(),
            Command::Export(ExportCommand::Onnx(args)) => vec![&mut args.model],
            Command::Export(ExportCommand::Hf(args)) => vec![&mut args.model],
            Command::Export(ExportCommand::Gguf(args)) => vec![&mut args.model],
            Command::Export(ExportCommand::Single(args)) => vec![&mut args.model],
            Command::Vocab(VocabCommand::Trim(args)) => vec![&mut args.model],
            Command::Vocab(VocabCommand::Compare(args)) => vec![&mut args.first, &mut args.second],
            _ => Vec::new(),
        }
    }
}

/// A bundle of `attar serve`, `PATH` or `NAME=PATH`.
fn locate_bundle(bundle: &mut String) -> anyhow::Result<()> {
    let (name, path) = match bundle.split_once('=') {
        Some((name, path)) => (format!("{name}="), path),
        None => (String::new(), bundle.as_str()),
    };
    if let Some(directory) = hub::resolve(path.as_ref())? {
        *bundle = format!("{name}{}", directory.display());
    }
    Ok(())
}
