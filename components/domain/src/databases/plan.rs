//! What each plan gives a database of a machine.

/// How much a database may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plan {
    /// To try things out.
    Hobby,
    /// A small product.
    Starter,
    /// A product with visitors.
    Standard,
    /// A busy one.
    Business,
}

impl Plan {
    /// All of them, the smallest first.
    pub const ALL: [Self; 4] = [Self::Hobby, Self::Starter, Self::Standard, Self::Business];

    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hobby => "hobby",
            Self::Starter => "starter",
            Self::Standard => "standard",
            Self::Business => "business",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plan| plan.as_str() == text)
    }

    /// Processor time, in thousandths of a core.
    pub const fn cpu_millis(self) -> u32 {
        match self {
            Self::Hobby => 500,
            Self::Starter => 1_000,
            Self::Standard => 2_000,
            Self::Business => 4_000,
        }
    }

    /// Memory, in bytes. The smallest is what the hungriest engine needs to start at all.
    pub const fn memory_bytes(self) -> u64 {
        match self {
            Self::Hobby => 512 << 20,
            Self::Starter => 1 << 30,
            Self::Standard => 4 << 30,
            Self::Business => 8 << 30,
        }
    }

    /// How many clients may be connected at once, where an engine is told.
    pub const fn max_connections(self) -> u32 {
        match self {
            Self::Hobby => 50,
            Self::Starter => 100,
            Self::Standard => 200,
            Self::Business => 400,
        }
    }
}
