//! Git providers who are not what they seem. What they answer well is tested end to end.

mod checkout;
mod hosting;
