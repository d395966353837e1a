//! The port to whatever makes images.
//!
//! A build has an id, so that asking twice never makes two, and can be asked for as long as it is
//! not removed. Its log is kept by the host under the same id and read through [`crate::logs`]. Only
//! [`crate::reconcile`] works through this port.

use std::collections::BTreeMap;

use crate::future::{PortBound, PortFuture};
use crate::ids::BuildId;
use crate::runtime::Fault;

/// What makes the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A Nixpacks plan, by the program Railpack.
    Railpack,
    /// A Nixpacks plan.
    Nixpacks,
    /// A Dockerfile.
    Dockerfile,
    /// Nothing: the image exists.
    Prebuilt,
}

impl Method {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Railpack => "railpack",
            Self::Nixpacks => "nixpacks",
            Self::Dockerfile => "dockerfile",
            Self::Prebuilt => "prebuilt",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "railpack" => Some(Self::Railpack),
            "nixpacks" => Some(Self::Nixpacks),
            "dockerfile" => Some(Self::Dockerfile),
            "prebuilt" => Some(Self::Prebuilt),
            _ => None,
        }
    }
}

/// From what an image is made, and how. Empty texts are not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// What makes it; found out from what is there when it is not set.
    pub method: Option<Method>,
    /// The address of the repository.
    pub repository: String,
    /// The branch or tag; the repository's own choice when it is not set.
    pub branch: String,
    /// The commit, which must be there under the branch's name or by itself.
    pub commit: String,
    /// The directory to build in, relative to the repository.
    pub root_directory: String,
    /// The Dockerfile, relative to that directory.
    pub dockerfile: String,
    /// The image to take, in place of a repository.
    pub prebuilt_image: String,
    /// Where the image is sent when it is made.
    pub registry_url: String,
    /// Replaces the builder's own command.
    pub build_command: String,
    /// Replaces the image's own command.
    pub start_command: String,
    /// Variables of the environment it is built in.
    pub variables: BTreeMap<String, String>,
    /// Arguments of a Dockerfile.
    pub arguments: BTreeMap<String, String>,
    /// What is written onto the image.
    pub labels: BTreeMap<String, String>,
}

/// What a build is told apart from others by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: BuildId,
    /// The name its image gets, which nobody else's image has; empty when only its content counts.
    pub image: String,
    /// What is to be done.
    pub recipe: Recipe,
}

/// How far a build has come, in steps it knows of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps that are done.
    pub done: u32,
    /// Steps there are in all; 0 until that is known.
    pub steps: u32,
    /// The commit that is built; empty until it is known.
    pub commit: String,
    /// The builder at work; empty until it is known.
    pub builder: String,
}

impl Progress {
    /// In hundredths of the whole; what is not finished is never all of it.
    pub fn percent(&self) -> i64 {
        match self.steps {
            0 => 0,
            steps => i64::from(self.done.min(steps)) * 100 / i64::from(steps),
        }
        .min(99)
    }
}

/// What a build came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// There is an image.
    Made {
        /// Names its content.
        digest: String,
        /// Its size, in bytes.
        size_bytes: u64,
    },
    /// There is none; why, in words for the tenant.
    Failed(String),
}

/// How a build is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildState {
    /// There is none of this id.
    Absent,
    /// It waits for others to end.
    Waiting,
    /// It is being worked on.
    Running(Progress),
    /// It ended.
    Ended(Progress, Ending),
}

/// Makes images.
pub trait Builders: PortBound {
    /// Sees to it that this build is carried out; one that is there stays as it is. Returns at once.
    fn start_build<'a>(&'a self, order: &'a Order) -> PortFuture<'a, Result<(), Fault>>;

    /// How a build is doing now.
    fn observe_build(&self, id: BuildId) -> PortFuture<'_, Result<BuildState, Fault>>;

    /// Sees to it that there is no build of this id: one that is worked on is broken off. Its log
    /// stays. Returns at once.
    fn remove_build(&self, id: BuildId) -> PortFuture<'_, Result<(), Fault>>;

    /// The ids of all builds that are there, ended or not.
    fn list_builds(&self) -> PortFuture<'_, Result<Vec<BuildId>, Fault>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_counts_steps_and_is_whole_only_at_the_end() {
        let check = |done: u32, steps: u32, expected: i64| {
            let progress = Progress { done, steps, ..Progress::default() };
            assert_eq!(progress.percent(), expected, "{done} of {steps}");
        };
        check(0, 0, 0);
        check(0, 3, 0);
        check(1, 3, 33);
        check(3, 3, 99);
        check(4, 3, 99);
    }
}
