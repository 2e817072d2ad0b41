//! Which processor this is. In a guest its name can be empty words ("Intel(R) Xeon(R) Processor"),
//! so it is known by family, model and stepping.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::proc;

/// A processor's identity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cpu {
    /// `GenuineIntel`, `AuthenticAMD`, or `arm-0x41` with the implementer's code; empty if unknown.
    pub vendor: String,
    /// CPUID family with its extension; on Arm the architecture version.
    pub family: u32,
    /// CPUID model with its extension; on Arm the part number.
    pub model: u32,
    /// CPUID stepping; on Arm the revision.
    pub stepping: u32,
    /// The name that the processor gives itself.
    pub name: String,
    /// Whether a hypervisor says that this is a virtual machine. Arm processors do not report it.
    pub virtual_machine: bool,
}

impl Cpu {
    /// The processor of this machine, from its CPUID instruction or else from `cpuinfo` below the
    /// root of procfs (`/proc`).
    pub fn detect(root: &Path) -> Self {
        from_instruction().unwrap_or_else(|| {
            // Without the file nothing is known, and that is what the default says.
            proc::cpuinfo(root).map(|text| Self::from_cpuinfo(&text)).unwrap_or_default()
        })
    }

    /// The first processor in the text of Linux's `/proc/cpuinfo`, x86 or Arm.
    pub fn from_cpuinfo(text: &str) -> Self {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name));
            line.map(|(_, value)| value.trim().to_owned())
        };
        let number = |name: &str| field(name).and_then(|text| parse(&text)).unwrap_or(0);
        if let Some(implementer) = field("CPU implementer") {
            return Self {
                vendor: format!("arm-{implementer}"),
                family: number("CPU architecture"),
                model: number("CPU part"),
                stepping: number("CPU revision"),
                name: field("model name").unwrap_or_default(),
                virtual_machine: false,
            };
        }
        Self {
            vendor: field("vendor_id").unwrap_or_default(),
            family: number("cpu family"),
            model: number("model"),
            stepping: number("stepping"),
            name: field("model name").unwrap_or_default(),
            virtual_machine: field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        }
    }
}

fn parse(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(target_arch = "x86_64")]
fn from_instruction() -> Option<Cpu> {
    let cpuid = raw_cpuid::CpuId::new();
    let features = cpuid.get_feature_info()?;
    Some(Cpu {
        vendor: cpuid.get_vendor_info()?.as_str().to_owned(),
        family: features.family_id().into(),
        model: features.model_id().into(),
        stepping: features.stepping_id().into(),
        name: cpuid.get_processor_brand_string().map(|name| name.as_str().trim().to_owned()).unwrap_or_default(),
        virtual_machine: features.has_hypervisor(),
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn from_instruction() -> Option<Cpu> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_x86_and_arm() {
        let x86 = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: Intel(R) Xeon(R) Processor\nstepping\t: 2\nflags\t\t: fpu hypervisor sse\n\nprocessor\t: 1\nmodel\t\t: 1\n";
        let cpu = Cpu::from_cpuinfo(x86);
        assert_eq!((cpu.vendor.as_str(), cpu.family, cpu.model, cpu.stepping), ("GenuineIntel", 6, 207, 2));
        assert!(cpu.virtual_machine);
        let arm =
            "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0c\nCPU revision\t: 1\n";
        let cpu = Cpu::from_cpuinfo(arm);
        assert_eq!((cpu.vendor.as_str(), cpu.family, cpu.model), ("arm-0x41", 8, 0xd0c));
    }

    #[test]
    fn nonsense_is_an_unknown_processor() {
        for text in ["", ":\n::\n", "cpu family : many\n"] {
            assert_eq!(Cpu::from_cpuinfo(text), Cpu::default());
        }
    }

    // The two ways must agree where both exist.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn instruction_and_file_agree() {
        let file = Cpu::from_cpuinfo(&std::fs::read_to_string("/proc/cpuinfo").unwrap());
        let instruction = Cpu::detect(Path::new("/proc"));
        assert_eq!(instruction, Cpu { name: instruction.name.clone(), ..file });
    }
}
