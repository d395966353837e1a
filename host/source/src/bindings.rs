//! The host's side of `windlass:source`, generated from the WIT.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package windlass:source-host;
        world host {
            import windlass:source/hosting@0.1.0;
            import windlass:source/hosting-sync@0.1.0;
        }
    ",
    world: "windlass:source-host/host",
    imports: {
        "windlass:source/hosting": async | store,
        "windlass:source/hosting-sync": async,
    },
    require_store_data_send: true,
});
