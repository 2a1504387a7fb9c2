//! Allowed dependencies between crates, and agreement of the template with the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::harness::{System, template};

const FUNCTIONS: [&str; 6] = ["command", "projector", "get-order", "list-orders", "get-dashboard", "maintain"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The direct and indirect dependencies of a crate, from `cargo tree`.
fn used_by(package: &str) -> BTreeSet<String> {
    used_through("normal", package)
}

/// Like `used_by`, for these kinds of dependencies.
fn used_through(edges: &str, package: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", edges, "--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let names = String::from_utf8(tree.stdout).unwrap();
    names.lines().filter_map(|line| line.split(' ').next()).filter(|name| *name != package).map(str::to_owned).collect()
}

#[test]
fn a_crate_depends_only_on_the_crates_that_the_architecture_allows() {
    let tests = ["check", "local", "deployment", "simulation", "system"];
    let ours: BTreeSet<&str> =
        [&["cqrs", "cqrs-dynamodb", "orders", "app"][..], &tests, &FUNCTIONS].concat().into_iter().collect();
    let mut allowed = BTreeMap::from([
        ("cqrs", vec![]),
        ("cqrs-dynamodb", vec!["cqrs"]),
        ("orders", vec!["cqrs"]),
        ("app", vec!["cqrs-dynamodb", "cqrs"]),
        // The checker knows neither a stack nor a domain, and the local stack no domain and no function.
        ("check", vec!["cqrs"]),
        ("local", vec!["app", "cqrs-dynamodb", "cqrs"]),
    ]);
    for function in FUNCTIONS {
        allowed.insert(function, vec!["orders", "app", "cqrs-dynamodb", "cqrs"]);
    }
    for (package, allowed) in allowed {
        let used = used_by(package);
        let used: BTreeSet<&str> = used.iter().map(String::as_str).filter(|name| ours.contains(name)).collect();
        assert_eq!(used, allowed.into_iter().collect(), "{package}");
    }
}

#[test]
fn the_pure_crates_depend_on_no_async_runtime_and_on_no_aws_crate() {
    for package in ["cqrs", "orders"] {
        for used in used_through("normal,dev,build", package) {
            let does_io = used.starts_with("aws") || used.starts_with("lambda") || used.starts_with("tokio");
            assert!(!does_io, "{package} uses {used}");
        }
    }
}

#[test]
fn no_function_depends_on_an_emulator() {
    for package in FUNCTIONS {
        let used = used_by(package);
        assert!(!used.contains("dynoxide-rs"), "{package}");
        // Functions have one TLS stack, and no chain of credential providers.
        for unwanted in ["aws-config", "aws-lc-rs", "native-tls", "chrono-tz"] {
            assert!(!used.contains(unwanted), "{package} uses {unwanted}");
        }
        assert!(used.contains("ring"), "{package}");
    }
}

#[test]
fn no_function_contains_its_api_description() {
    for package in FUNCTIONS {
        assert!(!used_by(package).contains("utoipa"), "{package}");
    }
    assert!(used_by("deployment").contains("utoipa"));
}

#[test]
fn the_checker_depends_on_no_aws_crate() {
    for used in used_by("check") {
        assert!(!used.starts_with("aws") && !used.starts_with("lambda"), "check uses {used}");
    }
}

#[test]
fn a_main_file_has_at_most_fifteen_lines() {
    for function in template().functions.keys() {
        let main = root().join("functions").join(function).join("src/main.rs");
        let lines = fs::read_to_string(&main).unwrap().lines().count();
        assert!(lines <= 15, "{} has {lines} lines", main.display());
    }
}

#[test]
fn the_routes_of_the_template_are_those_of_the_functions() {
    let routes = BTreeMap::from([
        ("command", command::routes()),
        ("get-order", get_order::routes()),
        ("list-orders", list_orders::routes()),
        ("get-dashboard", get_dashboard::routes()),
        ("projector", app::Routes::default()),
        ("maintain", app::Routes::default()),
    ]);
    let template = template();
    assert!(template.functions.keys().eq(routes.keys()));
    for (binary, function) in &template.functions {
        let deployed: BTreeSet<_> =
            function.routes.iter().map(|route| (route.method.as_str(), route.path.as_str())).collect();
        let served: BTreeSet<_> = routes[binary.as_str()].listed().iter().copied().collect();
        assert_eq!(deployed, served, "{binary}");
        assert!(function.routes.iter().all(|route| !route.scopes.is_empty()), "{binary}");
    }
}

/// The configuration of cargo-lambda in the root manifest.
fn cargo_lambda() -> Value {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    serde_json::from_slice::<Value>(&metadata.stdout).unwrap()["metadata"]["lambda"].clone()
}

#[test]
fn cargo_lambda_builds_the_functions_of_the_template_and_nothing_else() {
    let packages = cargo_lambda()["build"]["packages"].clone();
    let packages: BTreeSet<String> = serde_json::from_value(packages).unwrap();
    assert!(packages.iter().eq(template().functions.keys()));
}

#[test]
fn panics_unwind_in_the_binaries_of_cargo_lambda() {
    // cargo-lambda sets "abort", unless the profile sets another value.
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, release) = manifest.split_once("[profile.release]").unwrap();
    assert!(release.split("\n[").next().unwrap().contains("\npanic = \"unwind\""));
}

#[test]
fn cargo_lambda_watch_has_the_routes_and_variables_of_the_template() {
    let watch = cargo_lambda()["watch"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut served = BTreeSet::new();
    for route in watch["router"].as_array().unwrap() {
        let methods = route["methods"].as_array().unwrap().iter();
        served.extend(methods.map(|method| (text(&route["function"]), text(method), text(&route["path"]))));
    }
    let template = template();
    let mut deployed = BTreeSet::new();
    for (binary, function) in &template.functions {
        let routes = function.routes.iter();
        deployed.extend(routes.map(|route| (binary.clone(), route.method.clone(), route.path.clone())));
    }
    assert_eq!(served, deployed);

    let variables: BTreeMap<String, String> = serde_json::from_value(watch["env"].clone()).unwrap();
    for (binary, function) in template.functions {
        let mut environment = function.environment;
        // These variables have other values than on AWS.
        for (name, value) in [("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000"), ("METRICS_NAMESPACE", "orders")] {
            assert!(environment.insert(name.to_owned(), value.to_owned()).is_some());
        }
        assert_eq!(variables, environment, "{binary}");
    }
}

#[tokio::test]
async fn maintenance_and_the_projector_have_the_same_projections() {
    let app = System::start().await.stack.app;
    assert_eq!(maintain::projector(&app).projections(), projector::projector(&app).projections());
}

#[test]
fn the_template_maps_the_stream_of_the_events_to_the_projector() {
    let template = template();
    let projector = &template.functions["projector"];
    let [mapping] = &projector.mappings[..] else { panic!("{:?}", projector.mappings) };
    assert_eq!(mapping.table, "EventsTable");
    assert_eq!(template.tables["EventsTable"].stream.as_deref(), Some("NEW_IMAGE"));
    assert!(mapping.reports_failures && mapping.bisects);
    assert_eq!((mapping.retries, mapping.max_age.unwrap().as_secs()), (Some(1000), 23 * 3600));
    // The projector's own tables have no stream, so it does not invoke itself.
    let others = ["OrderSummariesTable", "DashboardTable"];
    assert!(others.iter().all(|table| template.tables[*table].stream.is_none()));
}
