//! Findings about GPUs.

use std::path::Path;

use super::{Finding, Interface, InterfaceState, Observations};
use crate::quantity::Seconds;
use crate::source::{BoardTrial, Component, amd_boards};

const COVERS: &str = "whole boards, with everything that runs on them";
/// Numbers of makers on the bus (PCI).
const NVIDIA: &str = "0x10de";
const AMD: &str = "0x1002";

/// One for each NVIDIA board, or one that says why there is none.
pub(super) fn nvidia(observed: &Observations<'_>) -> Vec<Finding> {
    let why = match &observed.trials.nvidia {
        Some(Ok(count)) if *count > 0 => {
            let more = "`nvidia-smi -q -d POWER` shows what the driver knows of it";
            let boards = observed.trials.boards.iter().take(*count);
            return boards.map(|board| of_board(Interface::NvidiaBoards, board, observed, Some(more))).collect();
        }
        Some(Ok(_)) => "the NVIDIA driver shows no board".to_owned(),
        Some(Err(reason)) => reason.clone(),
        None => "not asked for".to_owned(),
    };
    let remedy = if cfg!(not(feature = "nvml")) {
        Some("build with `--features nvml`".to_owned())
    } else if on_bus(&observed.host.sys, NVIDIA) {
        Some(
            "an NVIDIA board is on the bus: `nvidia-smi` tells whether its driver works; a container must be started \
             with access to the boards (`docker run --gpus all`)"
                .to_owned(),
        )
    } else {
        None
    };
    vec![Finding::new(Interface::NvidiaBoards, COVERS, InterfaceState::Absent, why).with_remedy(remedy)]
}

/// One for each AMD board, or one that says why there is none.
pub(super) fn amd(observed: &Observations<'_>) -> Vec<Finding> {
    let others = observed.trials.nvidia.as_ref().and_then(|found| found.as_ref().ok()).copied().unwrap_or(0);
    let boards = observed.trials.boards.iter().skip(others);
    let mut findings: Vec<Finding> =
        boards.map(|board| of_board(Interface::AmdBoards, board, observed, None)).collect();
    let (found, left_out) = amd_boards(&observed.host.sys, 0);
    if findings.is_empty() {
        let driver = !found.is_empty() || !left_out.is_empty();
        let remedy = (!driver && on_bus(&observed.host.sys, AMD)).then(|| "`sudo modprobe amdgpu`".to_owned());
        let why = if driver { "no board with a power sensor of its own" } else { "no hardware monitor of `amdgpu`" };
        findings.push(Finding::new(Interface::AmdBoards, COVERS, InterfaceState::Absent, why).with_remedy(remedy));
    }
    if let Some(last) = findings.last_mut() {
        last.notes.extend(left_out);
    }
    findings
}

fn of_board(source: Interface, board: &BoardTrial, observed: &Observations<'_>, remedy: Option<&str>) -> Finding {
    let finding = |state, why: String| Finding::new(source, &board.name, state, why);
    match &board.outcome {
        Err(fault) => finding(InterfaceState::Dead, fault.clone()).with_remedy(remedy.map(str::to_owned)),
        Ok((sensor, notes)) => {
            let why = match sensor {
                Some(period) => format!("energy counter, renewed every {}", Seconds::from(*period)),
                None => "power, sampled and added up".to_owned(),
            };
            let this = |component: &Component| *component == Component::Gpu(board.index);
            finding(InterfaceState::Measures, why).used(observed.selects("gpu", this)).with_notes(notes.clone())
        }
    }
}

/// Whether a display controller or an accelerator of this maker is on the bus.
fn on_bus(sys: &Path, maker: &str) -> bool {
    let devices = std::fs::read_dir(sys.join("bus/pci/devices")).into_iter().flatten().flatten();
    let says = |device: &Path, file: &str| std::fs::read_to_string(device.join(file)).unwrap_or_default();
    devices.map(|device| device.path()).any(|device| {
        let class = says(&device, "class");
        // 03: displays; 12: processing accelerators.
        let board = class.starts_with("0x03") || class.starts_with("0x12");
        board && says(&device, "vendor").trim() == maker
    })
}
