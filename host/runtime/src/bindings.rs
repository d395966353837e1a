//! The host's side of `windlass:runtime`, generated from the WIT.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package windlass:runtime-host;
        world host {
            import windlass:runtime/images@0.1.0;
            import windlass:runtime/workloads@0.1.0;
            import windlass:runtime/jobs@0.1.0;
            import windlass:runtime/ingress@0.1.0;
            import windlass:runtime/logs@0.1.0;
            import windlass:runtime/measurements@0.1.0;
            import windlass:operations/holder@0.1.0;
        }
    ",
    world: "windlass:runtime-host/host",
    imports: {
        "windlass:runtime/images": async | store,
        "windlass:runtime/workloads": async | store,
        "windlass:runtime/jobs": async | store,
        "windlass:runtime/ingress": async | store,
        "windlass:runtime/logs": async | store,
        "windlass:runtime/measurements": async | store,
    },
    require_store_data_send: true,
});
