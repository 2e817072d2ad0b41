//! `attar energy doctor`: what can be measured here.

use crate::cli::energy::DoctorArgs;

pub(crate) fn run(_args: &DoctorArgs) -> anyhow::Result<()> {
    Ok(())
}
