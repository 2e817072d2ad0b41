//! `attar watch`: a run as it goes, from the events that it writes.

mod progress;
mod tail;
mod view;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use attar_distill::model_directory::STUDENT;
use attar_distill::recipe::Recipe;
use console::Term;

use crate::cli::watch::WatchArgs;
use crate::console as output;
use crate::signals::Watch;

use progress::Progress;
use tail::Tail;

/// The log of what happened.
const EVENTS: &str = "events.jsonl";
/// Longest sleep: so soon a signal is heard.
const NAP: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    let folder = [args.run.clone(), args.run.join(STUDENT)].into_iter().find(|folder| folder.join(EVENTS).is_file());
    let folder = match folder {
        Some(folder) => folder,
        // A run that has just begun has not written anything.
        None if args.run.join("manifest.json").is_file() => args.run.clone(),
        None => {
            ensure!(args.run.exists(), "{} does not exist; give the folder of a run", args.run.display());
            anyhow::bail!("{} holds no {EVENTS}; give the folder of a run", args.run.display());
        }
    };
    let signals = Watch::begin();
    let terminal = Term::stdout();
    let is_live = terminal.is_term();
    let mut tail = Tail::of(&folder.join(EVENTS));
    let mut progress = Progress::of(stages(&folder));
    let mut drawn = 0;
    loop {
        let news = tail.read(|line| progress.take(line))?;
        if is_live {
            let width = usize::from(terminal.size().1).max(40);
            let lines = view::lines(&progress, width);
            terminal.clear_last_lines(drawn)?;
            lines.iter().try_for_each(|line| terminal.write_line(line))?;
            drawn = lines.len();
        } else if news > 0 {
            output::say(view::line(&progress))?;
        }
        if progress.has_ended() || args.once || signals.is_asked() {
            return Ok(());
        }
        let looked = Instant::now();
        while looked.elapsed() < args.interval && !signals.is_asked() {
            std::thread::sleep(NAP.min(args.interval));
        }
    }
}

/// How many stages the run has, where its recipe can be read.
fn stages(folder: &Path) -> Option<usize> {
    Recipe::read(&folder.join("recipe.toml")).ok().map(|recipe| recipe.stages.len())
}
