//! The generated bindings of `windlass:platform/reconciler`, and the export of the one component
//! built for it.
#![expect(unsafe_code, reason = "the exports of a component are raw symbols")]

spin_sdk::wit_bindgen::generate!({
    path: "../../wit",
    world: "windlass:platform/reconciler",
    runtime_path: "::spin_sdk::wit_bindgen::rt",
    generate_all,
});

export!(Reconciler with_types_in crate::bindings);

use crate::Reconciler;
