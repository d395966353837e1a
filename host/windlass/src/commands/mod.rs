//! What each command does, apart from `serve`.

pub(crate) mod components;
pub(crate) mod doctor;
pub(crate) mod host;
pub(crate) mod images;
pub(crate) mod migrate;
pub(crate) mod tokens;
pub(crate) mod watch;
