//! The files of a project, with placeholders such as `«snake»`. [`crate::names`] defines them.

/// Lists files: the path in the project, and the file under `template/`.
macro_rules! files {
    ($($path:literal: $file:literal,)*) => {
        &[$(($path, include_str!(concat!("../template/", $file)))),*]
    };
}

/// The paths of all files in a project, with their content.
pub(crate) const FILES: &[(&str, &str)] = files! {
    ".cargo/config.toml": "cargo-config.toml",
    ".gitignore": "gitignore",
    "Cargo.lock": "../../../Cargo.lock",
    "Cargo.toml": "Cargo.toml",
    "README.md": "README.md",
    "clippy.toml": "clippy.toml",
    "domain/Cargo.toml": "domain/Cargo.toml",
    "domain/golden/«kebab».opened.v1.json": "domain/golden/opened.v1.json",
    "domain/src/lib.rs": "domain/src/lib.rs",
    "domain/src/totals.rs": "domain/src/totals.rs",
    "domain/src/«snake».rs": "domain/src/aggregate.rs",
    "domain/src/«view».rs": "domain/src/view.rs",
    "events/command.open.json": "events/command.open.json",
    "events/query.totals.json": "events/query.totals.json",
    "events/variables.json": "events/variables.json",
    "functions/Cargo.toml": "functions/Cargo.toml",
    "functions/src/bin/command.rs": "functions/src/bin/command.rs",
    "functions/src/bin/maintain.rs": "functions/src/bin/maintain.rs",
    "functions/src/bin/projector.rs": "functions/src/bin/projector.rs",
    "functions/src/bin/query.rs": "functions/src/bin/query.rs",
    "functions/src/command.rs": "functions/src/command.rs",
    "functions/src/lib.rs": "functions/src/lib.rs",
    "functions/src/openapi.rs": "functions/src/openapi.rs",
    "functions/src/query.rs": "functions/src/query.rs",
    "local/Cargo.toml": "local/Cargo.toml",
    "local/src/bin/operate.rs": "local/src/bin/operate.rs",
    "local/src/lib.rs": "local/src/lib.rs",
    "local/src/main.rs": "local/src/main.rs",
    "local/tests/system.rs": "local/tests/system.rs",
    "rustfmt.toml": "../../../rustfmt.toml",
    "template.yaml": "template.yaml",
};
