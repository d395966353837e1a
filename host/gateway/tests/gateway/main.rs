//! The gateway over real sockets, with little patience.

mod fixture;
mod frames;
mod pages;
mod patience;
