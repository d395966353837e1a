//! The host's side of `windlass:storage`, generated from the WIT.
#![expect(missing_docs, reason = "the cases of generated types are documented by their type")]

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package windlass:storage-host;
        world host {
            import windlass:storage/sql@0.1.0;
            import windlass:storage/sql-sync@0.1.0;
        }
    ",
    world: "windlass:storage-host/host",
    imports: {
        "windlass:storage/sql.query": async | store | trappable,
        "windlass:storage/sql.[static]transaction.begin": async | store | trappable,
        "windlass:storage/sql.[method]transaction.query": async | store | trappable,
        "windlass:storage/sql.[method]transaction.execute": async | store | trappable,
        "windlass:storage/sql.[static]transaction.commit": async | store | trappable,
        "windlass:storage/sql": trappable,
        default: async | trappable,
    },
    with: {
        "windlass:storage/sql.transaction": crate::capability::OpenTransaction,
        "windlass:storage/sql-sync.transaction": crate::capability::OpenTransaction,
    },
    additional_derives: [PartialEq],
    require_store_data_send: true,
});
