//! What is said of boards.

use attar_meter::doctor::{Finding, Interface, InterfaceState};

use super::cases::{Case, case, holds, of};

#[test]
fn each_board_is_told_apart() {
    let diagnosis = case("boards");
    let boards: Vec<&Finding> =
        diagnosis.findings.iter().filter(|finding| finding.source == Interface::NvidiaBoards).collect();
    let states: Vec<(InterfaceState, bool)> = boards.iter().map(|board| (board.state, board.used)).collect();
    let (works, not) = ((InterfaceState::Measures, true), (InterfaceState::Dead, false));
    assert_eq!(states, [works, works, not, works, works]);
    assert_eq!(boards[2].covers, "2: scripted board");
    for (board, expected) in boards.iter().zip(["energy counter, renewed every 5", "power, sampled", "board lost"]) {
        holds(&board.why, &[expected]);
    }
    holds(&boards[1].notes.join("\n"), &["no energy counter (not supported by this board)"]);
    holds(&boards[3].notes.join("\n"), &["energy counter (37.0 W) and power sensor (65.0 W) disagree"]);
    holds(&boards[4].notes.join("\n"), &["MIG"]);
    // AMD's come behind, with the next number.
    let amd = of(&diagnosis, Interface::AmdBoards);
    assert_eq!((amd.state, amd.used), works);
    holds(&amd.covers, &["5: AMD board at hwmon2"]);
    holds(&diagnosis.verdict.sentence, &["the processor can only be modeled here", "5 GPUs measured"]);

    let lost = case("a lost board");
    assert_eq!(of(&lost, Interface::NvidiaBoards).state, InterfaceState::Dead);
    assert_eq!(lost.verdict.boards, None);
}

#[test]
fn a_board_on_the_bus_without_a_driver_is_noticed() {
    for (maker, class, source, expected) in [
        ("0x10de", "0x030200", Interface::NvidiaBoards, cfg!(feature = "nvml").then_some("nvidia-smi")),
        ("0x1002", "0x120000", Interface::AmdBoards, Some("modprobe amdgpu")),
        // A sound controller of the same maker is no board.
        ("0x1002", "0x040300", Interface::AmdBoards, None),
    ] {
        let case = Case::new("bus").tree(|tree| {
            let device = "bus/pci/devices/0000:01:00.0";
            tree.at(&format!("{device}/vendor"), &format!("{maker}\n"));
            tree.at(&format!("{device}/class"), &format!("{class}\n"));
        });
        let diagnosis = case.diagnose();
        let finding = of(&diagnosis, source);
        assert_eq!(finding.state, InterfaceState::Absent);
        match expected {
            Some(expected) => holds(finding.remedy.as_ref().unwrap(), &[expected]),
            None => assert!(finding.source != Interface::AmdBoards || finding.remedy.is_none(), "{finding:?}"),
        }
    }
}
