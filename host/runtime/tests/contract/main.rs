//! What every driver owes the reconciler, run against each of them: one in memory, the embedded one
//! for components, and the one for containers over a real Docker engine.

/// Runs each obligation against each driver.
macro_rules! for_each_driver {
    ($($obligation:ident),* $(,)?) => {
        for_each_driver!(in_memory, crate::fake::Stage, $($obligation),*);
        for_each_driver!(wasm, crate::stages::Components, $($obligation),*);
        for_each_driver!(docker, crate::stages::Containers, $($obligation),*);
    };
    ($driver:ident, $stage:ty, $($obligation:ident),*) => {
        mod $driver {
            use crate::stages::Stage as _;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $obligation() {
                super::$obligation(<$stage>::start()).await;
            })*
        }
    };
}

mod containers;
mod fake;
mod faults;
mod obligations;
mod stages;
