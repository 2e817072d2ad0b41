//! `attar distill`: a teacher makes a smaller student.

use crate::cli::DistillArgs;
use crate::recipes;

use super::training;

pub(crate) fn run(args: &DistillArgs) -> anyhow::Result<()> {
    training::run("distill", recipes::distill(args)?, &args.run)
}
