//! The host's side of `windlass:identity` and `windlass:secrets`, generated from the WIT.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package windlass:identity-host;
        world host {
            import windlass:identity/caller@0.1.0;
            import windlass:identity/passwords@0.1.0;
            import windlass:identity/tokens@0.1.0;
            import windlass:identity/throttle@0.1.0;
            import windlass:identity/passwords-sync@0.1.0;
            import windlass:identity/tokens-sync@0.1.0;
            import windlass:secrets/vault@0.1.0;
            import windlass:secrets/connections@0.1.0;
        }
    ",
    world: "windlass:identity-host/host",
    imports: {
        "windlass:identity/passwords": async | store,
        "windlass:identity/tokens": async | store,
        "windlass:identity/passwords-sync": async,
        "windlass:identity/tokens-sync": async,
    },
    require_store_data_send: true,
});
