//! `windlass:source`: where code comes from.
//!
//! [`Hosting`] asks git providers what an account may see. Their words (pages, links, limits, fields)
//! stay in `providers`, one file each; what is common to all of them, and every bound, is here. The
//! token of an account is opened at the moment it is used, through [`Secrets`], and goes to the one
//! provider it was sealed for. Whatever goes out goes by [`windlass_outbound`].
//!
//! [`Repositories`] fetches the tree of a commit out of a git repository, for builds.
//!
//! Whose account it is, and who may use it, is decided by the components.

mod bindings;
mod capability;
mod checkout;
mod error;
mod hosting;
mod providers;

pub use capability::SourceCapability;
pub use checkout::{Checkout, Credential, File, FileKind, Repositories, Wanted};
pub use error::Error;
pub use hosting::{Account, Hosting, Repository, Secrets};
pub use providers::{Addresses, Provider};
