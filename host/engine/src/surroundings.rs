//! What a component finds around it beside its imports: arguments, variables, where its lines go,
//! and its share of a processor.
//!
//! A controller finds nothing, and prints into the host's log. A workload of a tenant finds what
//! its deployment says, and prints into a log of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::TICK;

/// Of a whole processor, what an instance that computes for long gets when nothing is said.
const DEFAULT_CPU_MILLIS: u32 = 200;

/// Where the lines of a workload go.
pub trait Lines: Send + Sync {
    /// Takes one line, without its end. Must be quick.
    fn line(&self, stream: Stream, line: &str);
}

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What a component finds around it.
#[derive(Clone)]
pub struct Surroundings {
    /// The program's name and its arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Where its lines go; `None`: into the host's log.
    pub lines: Option<Arc<dyn Lines>>,
    /// Its share of a processor when it computes for long, in thousandths of one.
    pub cpu_millis: u32,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            arguments: Vec::new(),
            variables: Vec::new(),
            lines: None,
            cpu_millis: DEFAULT_CPU_MILLIS,
        }
    }
}

impl Surroundings {
    /// How long an instance that has computed for long pauses after each tick of computing.
    pub(crate) fn pause(&self) -> Duration {
        let millis = self.cpu_millis.clamp(1, 1_000);
        TICK * (1_000 - millis) / millis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_leaves_the_share_that_was_given() {
        let pause = |cpu_millis| Surroundings { cpu_millis, ..Surroundings::default() }.pause();
        assert_eq!(Surroundings::default().pause(), Duration::from_millis(8));
        assert_eq!(pause(500), TICK);
        assert_eq!(pause(1_000), Duration::ZERO);
        assert_eq!(pause(4_000), Duration::ZERO);
        assert!(pause(0) > Duration::from_secs(1));
    }
}
