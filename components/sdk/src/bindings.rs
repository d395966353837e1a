//! The generated bindings of `windlass:platform/capabilities`, and nothing else. Only the
//! interfaces that a component really calls become its imports.

spin_sdk::wit_bindgen::generate!({
    path: "../../wit",
    world: "windlass:platform/capabilities",
    // One runtime for ours and for spin-sdk's futures: two would not wake each other's tasks.
    runtime_path: "::spin_sdk::wit_bindgen::rt",
    generate_all,
});
