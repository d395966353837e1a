//! HTTP to others who are not what they seem.

mod client;
