//! Which part of its server an instance type is: its virtual processors over those of the server.
//!
//! No embedded table has the number of virtual processors. The names of most types say it by a rule of
//! their cloud (`large` is 2, `4xlarge` 16, `n2-standard-8` 8, `D8s v3` 8); the server is taken to have
//! as many as the largest type of the family, as Cloud Carbon Footprint does. Types whose names follow
//! no rule have no share here.

/// Virtual processors of an instance and of the server under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InstancePart {
    pub(super) vcpus: u32,
    pub(super) of: u32,
}

impl InstancePart {
    /// The part of a type among all types that there are, all written as `cloud/type` in lower case.
    pub(super) fn of<'a>(instance: &str, all: impl Iterator<Item = &'a str>) -> Option<Self> {
        let own = Shape::of(instance)?;
        let relatives = all.filter_map(Shape::of).filter(|shape| shape.family == own.family);
        let largest = relatives.filter_map(|shape| shape.vcpus).chain(own.vcpus).max();
        // A family that is rented by the whole server only has no other measure than itself.
        let of = largest.unwrap_or(1);
        Some(Self { vcpus: own.vcpus.unwrap_or(of), of })
    }

    pub(super) fn share(self) -> f64 {
        f64::from(self.vcpus) / f64::from(self.of)
    }
}

/// What a name says.
struct Shape {
    family: String,
    /// `None`: the whole server, whatever it has.
    vcpus: Option<u32>,
}

impl Shape {
    fn of(instance: &str) -> Option<Self> {
        match instance.split_once('/')? {
            ("aws", name) => amazon(name),
            ("gcp", name) => google(name),
            ("azure", name) => azure(name),
            _ => None,
        }
    }
}

/// `m5.large`; `db.`, `cache.` and `.elasticsearch` name who manages it.
fn amazon(name: &str) -> Option<Shape> {
    let name = name.trim_start_matches("db.").trim_start_matches("cache.").trim_end_matches(".elasticsearch");
    let (family, size) = name.split_once('.')?;
    let whole = |vcpus: u32| Some(Some(vcpus));
    let vcpus = match (family, size) {
        // Generations before the rule, and warehouses.
        ("m2" | "c1" | "hs1" | "dc2" | "ds2" | "ra3", _) => None,
        ("c4" | "d2", "8xlarge") => whole(36),
        ("i3", "metal") => whole(72),
        ("g4dn", "metal") => whole(96),
        (_, "metal") => Some(None),
        ("t1" | "t2", "nano" | "micro" | "small") | ("m1", "small" | "medium") | ("m3", "medium") => whole(1),
        ("t2", "medium") | ("t3" | "t3a" | "t4g", "nano" | "micro" | "small" | "medium") => whole(2),
        // Arm processors, whose threads are cores.
        (_, "medium") if family == "a1" || family.contains('g') => whole(1),
        (_, "large") => whole(2),
        (_, "xlarge") => whole(4),
        (_, size) => size.strip_suffix("xlarge")?.parse::<u32>().ok()?.checked_mul(4).map(Some),
    }?;
    Some(Shape { family: format!("aws {family}"), vcpus })
}

/// `n2-standard-8`. Types that share a core, and boards with so many GPUs (`8g`), name no processors.
fn google(name: &str) -> Option<Shape> {
    let mut words = name.split('-');
    let (family, _kind, number) = (words.next()?, words.next()?, words.next()?);
    let vcpus = number.parse().ok()?;
    words.next().is_none().then(|| Shape { family: format!("gcp {family}"), vcpus: Some(vcpus) })
}

/// `D8s v3`, `E64-16s v3` (64 processors of which 16 are switched on). The first sizes of some families
/// count otherwise.
fn azure(name: &str) -> Option<Shape> {
    let name = name.trim_end_matches(" promo");
    let start = name.find(|c: char| c.is_ascii_digit())?;
    let (letters, rest) = name.split_at(start);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    let number: u32 = number.parse().ok()?;
    let version = rest.split(' ').find(|word| word.starts_with('v') && word[1..].parse::<u8>().is_ok());
    let vcpus = match (letters, version, number) {
        ("d" | "ds", Some("v2") | None, 1..=5) => 1 << (number - 1),
        ("d" | "ds", Some("v2") | None, 11..=14) => 1 << (number - 10),
        ("d" | "ds", Some("v2"), 15) => 20,
        ("g" | "gs", None, 1..=5) => 1 << number,
        ("a", None, _) => return None,
        _ => number,
    };
    Some(Shape { family: format!("azure {letters} {}", version.unwrap_or("v1")), vcpus: Some(vcpus) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_how_many_processors_there_are() {
        let vcpus = |name: &str| Shape::of(name).map(|shape| shape.vcpus);
        let known = [
            ("aws/m5.large", 2),
            ("aws/m5.24xlarge", 96),
            ("aws/c4.8xlarge", 36),
            ("aws/t2.micro", 1),
            ("aws/t3.micro", 2),
            ("aws/m6g.medium", 1),
            ("aws/db.r5.xlarge", 4),
            ("aws/m4.large.elasticsearch", 2),
            ("gcp/n2-standard-8", 8),
            ("azure/d8s v3", 8),
            ("azure/e64-16s v3", 64),
            ("azure/ds14-4 v2", 16),
            ("azure/d15 v2", 20),
            ("azure/gs5-16", 32),
            ("azure/nc16as t4 v3", 16),
            ("azure/h16m promo", 16),
        ];
        for (name, expected) in known {
            assert_eq!(vcpus(name), Some(Some(expected)), "{name}");
        }
        assert_eq!(vcpus("aws/m5.metal"), Some(None));
        for unknown in ["aws/m2.xlarge", "aws/ra3.4xlarge", "gcp/f1-micro", "gcp/a2-highgpu-1g", "azure/a2", "m5.large"]
        {
            assert_eq!(vcpus(unknown), None, "{unknown}");
        }
    }
}
