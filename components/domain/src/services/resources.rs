//! How much of a machine a service may take.
//!
//! Quantities keep the text they were given as, because that is what is shown, beside the number
//! that drivers work with.

use crate::error::Violation;
use crate::text::Violations;

/// What a service gets when nothing is said: half a core.
pub const DEFAULT_CPU: &str = "0.5";
/// What a service gets when nothing is said: 512 MiB.
pub const DEFAULT_MEMORY: &str = "512Mi";

/// A share of processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpu {
    text: String,
    millicores: u32,
}

impl Cpu {
    /// Reads cores (`0.5`, up to 999 and three decimals) or thousandths of a core (`500m`);
    /// `None` for anything else and for nothing: `^(?!0+(\.0+)?m?$)([0-9]{1,3}(\.[0-9]{1,3})?|[0-9]{1,6}m)$`.
    pub fn parse(text: &str) -> Option<Self> {
        let millicores = match text.strip_suffix('m') {
            Some(digits) => number(digits, 6)?,
            None => {
                let (whole, decimals) = match text.split_once('.') {
                    Some((whole, decimals)) => (whole, format!("{decimals:0<3}")),
                    None => (text, "000".to_owned()),
                };
                // `1.` has no decimals to pad.
                if text.ends_with('.') {
                    return None;
                }
                number(whole, 3)? * 1000 + number(&decimals, 3)?
            }
        };
        let millicores = u32::try_from(millicores).ok().filter(|millicores| *millicores > 0)?;
        Some(Self { text: text.to_owned(), millicores })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Thousandths of a core.
    pub const fn millicores(&self) -> u32 {
        self.millicores
    }
}

/// An amount of memory or storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    text: String,
    bytes: u64,
}

impl Size {
    /// Reads a whole number of up to six digits with a unit, as `512Mi` or `1G`; `None` for
    /// anything else and for nothing: `^[1-9][0-9]{0,5}(Ki|Mi|Gi|Ti|K|M|G|T)$`.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|character: char| !character.is_ascii_digit())?;
        let (digits, unit) = text.split_at(end);
        let unit: u64 = match unit {
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            "K" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            _ => return None,
        };
        if digits.starts_with('0') {
            return None;
        }
        let bytes = number(digits, 6)?.checked_mul(unit)?;
        Some(Self { text: text.to_owned(), bytes })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Bytes.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn number(digits: &str, maximum: usize) -> Option<u64> {
    let well_formed =
        (1..=maximum).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if well_formed { digits.parse().ok() } else { None }
}

/// What a service may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Of the processors.
    pub cpu: Cpu,
    /// Of the memory.
    pub memory: Size,
    /// Of the disk; `None` where nothing is said.
    pub storage: Option<Size>,
}

/// What was asked for, as it was written; what is `None` is the default of a new service and
/// stays in an existing one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourcesInput {
    /// See [`Cpu::parse`].
    pub cpu: Option<String>,
    /// See [`Size::parse`].
    pub memory: Option<String>,
    /// See [`Size::parse`]; the empty text takes it away.
    pub storage: Option<String>,
}

impl ResourcesInput {
    /// What is asked for over what there is: `current`, or the defaults.
    pub(crate) fn resolve(
        &self,
        current: Option<&Resources>,
        violations: &mut Violations,
    ) -> Option<Resources> {
        let cpu = self.cpu.as_deref();
        let cpu = cpu.or(current.map(|resources| resources.cpu.as_str())).unwrap_or(DEFAULT_CPU);
        let memory = self.memory.as_deref();
        let memory =
            memory.or(current.map(|resources| resources.memory.as_str())).unwrap_or(DEFAULT_MEMORY);
        let storage = match &self.storage {
            Some(storage) => storage.as_str(),
            None => current
                .and_then(|resources| resources.storage.as_ref())
                .map(Size::as_str)
                .unwrap_or_default(),
        };
        match Resources::parse(cpu, memory, storage) {
            Ok(resources) => Some(resources),
            Err(found) => {
                found.into_iter().for_each(|found| violations.add(found.field, found.reason));
                None
            }
        }
    }
}

impl Resources {
    /// Reads the texts of a row; an empty storage is none.
    ///
    /// # Errors
    /// Every text that is malformed.
    pub fn parse(cpu: &str, memory: &str, storage: &str) -> Result<Self, Vec<Violation>> {
        const SIZE: &str = "must be a whole number of up to six digits with a unit, as 512Mi or 1G";
        let mut violations = Vec::new();
        let parsed_cpu = Cpu::parse(cpu);
        if parsed_cpu.is_none() {
            let reason = "must be a positive number of cores, as 0.5, or millicores, as 500m";
            violations.push(Violation::new("resources.cpu", reason));
        }
        let parsed_memory = Size::parse(memory);
        if parsed_memory.is_none() {
            violations.push(Violation::new("resources.memory", SIZE));
        }
        let parsed_storage = Size::parse(storage);
        if parsed_storage.is_none() && !storage.is_empty() {
            violations.push(Violation::new("resources.storage", SIZE));
        }
        match (parsed_cpu, parsed_memory) {
            (Some(cpu), Some(memory)) if violations.is_empty() => {
                Ok(Self { cpu, memory, storage: parsed_storage })
            }
            _ => Err(violations),
        }
    }

    pub(crate) fn audited(&self) -> [(&'static str, String); 3] {
        let storage = self.storage.as_ref().map(Size::as_str).unwrap_or_default();
        [
            ("resources.cpu", self.cpu.as_str().to_owned()),
            ("resources.memory", self.memory.as_str().to_owned()),
            ("resources.storage", storage.to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_cores_or_millicores() {
        let check = |text: &str, expected: Option<u32>| {
            assert_eq!(Cpu::parse(text).map(|cpu| cpu.millicores()), expected, "{text}");
        };
        check("0.5", Some(500));
        check("1", Some(1000));
        check("0.25", Some(250));
        check("0.125", Some(125));
        check("999.999", Some(999_999));
        check("500m", Some(500));
        check("007m", Some(7));
        check("999999m", Some(999_999));
        for refused in [
            "", "0", "0.0", "0m", "m", ".5", "1.", "-1", "+1", "1.0000", "1000", "1e3", "0x1",
            "1,5", " 1", "1 ", "NaN", "1000000m", "1.5m", "0.5.5", "٣",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn sizes_have_units() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(Size::parse(text).map(|size| size.bytes()), expected, "{text}");
        };
        check("512Mi", Some(512 << 20));
        check("1Gi", Some(1 << 30));
        check("1Ki", Some(1024));
        check("2G", Some(2_000_000_000));
        check("999999Ti", Some(999_999 << 40));
        for refused in [
            "",
            "0Mi",
            "012Mi",
            "512",
            "512mi",
            "512MB",
            "Mi",
            "-1Gi",
            "1.5Gi",
            "1000000Ki",
            "1 Gi",
        ] {
            check(refused, None);
        }
    }
}
