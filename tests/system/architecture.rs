//! Allowed dependencies between crates, and agreement of the template with the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use deployment::deployment;
use domains::Domains;
use local::testing::assert_template;
use serde_json::Value;

use crate::harness::template;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The crates of the toolkit in `shared/`. Every other crate there is a domain, except the list of domains and the APIs
/// of domains.
const TOOLKIT: [&str; 4] = ["cqrs", "cqrs-dynamodb", "app", "messaging"];

/// The crates in this folder.
fn crates_in(folder: &str) -> BTreeSet<String> {
    let metadata = cargo_metadata();
    let folder = fs::canonicalize(root().join(folder)).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let packages =
        packages.filter(|package| Path::new(package["manifest_path"].as_str().unwrap()).starts_with(&folder));
    packages.map(|package| package["name"].as_str().unwrap().to_owned()).collect()
}

fn domains() -> BTreeSet<String> {
    let mut shared = crates_in("shared");
    shared.retain(|name| !TOOLKIT.contains(&name.as_str()) && name != "domains" && !name.ends_with("-api"));
    shared
}

/// The crates with the commands of a domain as clients send them, such as `orders-api`.
fn apis() -> BTreeSet<String> {
    let mut shared = crates_in("shared");
    shared.retain(|name| name.ends_with("-api"));
    shared
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
fn dependencies_between_crates_lead_down_only() {
    let tests = crates_in("tests");
    let (functions, domains) = (crates_in("functions"), domains());
    let ours: BTreeSet<String> = &(&crates_in("shared") | &functions) | &tests;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let below_domains = names(&["cqrs"]);
    let below_apis = &names(&["app", "cqrs-dynamodb", "cqrs"]) | &domains;
    let below_functions = &(&names(&["domains"]) | &names(&TOOLKIT)) | &(&domains | &apis());
    let mut allowed = BTreeMap::from([
        ("cqrs".to_owned(), names(&[])),
        ("cqrs-dynamodb".to_owned(), names(&["cqrs"])),
        ("app".to_owned(), names(&["cqrs-dynamodb", "cqrs"])),
        ("messaging".to_owned(), names(&["app", "cqrs-dynamodb", "cqrs"])),
        ("domains".to_owned(), &below_domains | &domains),
        // The checker knows neither a stack nor a domain, and the local stack no domain and no function.
        ("check".to_owned(), names(&["cqrs"])),
        ("local".to_owned(), names(&TOOLKIT)),
        ("scaffold".to_owned(), names(&["cqrs"])),
    ]);
    allowed.extend(apis().into_iter().map(|api| (api, below_apis.clone())));
    allowed.extend(domains.into_iter().map(|domain| (domain, below_domains.clone())));
    allowed.extend(functions.into_iter().map(|function| (function, below_functions.clone())));
    for (package, allowed) in allowed {
        let used: BTreeSet<String> = &used_by(&package) & &ours;
        assert!(used.is_subset(&allowed), "{package} uses {:?}", &used - &allowed);
    }
}

#[test]
fn the_deployment_lists_every_domain() {
    let listed: BTreeSet<String> = &used_by("domains") & &crates_in("shared");
    assert_eq!(listed, &domains() | &BTreeSet::from(["cqrs".to_owned()]));
}

#[test]
fn the_pure_crates_depend_on_no_async_runtime_and_on_no_aws_crate() {
    for package in domains().into_iter().chain(["cqrs".to_owned()]) {
        for used in used_through("normal,dev,build", &package) {
            let does_io = used.starts_with("aws") || used.starts_with("lambda") || used.starts_with("tokio");
            assert!(!does_io, "{package} uses {used}");
        }
    }
}

#[test]
fn no_function_depends_on_an_emulator() {
    for package in crates_in("functions") {
        let used = used_by(&package);
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
    for package in crates_in("functions") {
        assert!(!used_by(&package).contains("utoipa"), "{package}");
    }
    assert!(used_by("deployment").contains("utoipa"));
}

#[test]
fn the_checker_depends_on_no_aws_crate() {
    for used in used_by("check") {
        assert!(!used.starts_with("aws") && !used.starts_with("lambda"), "check uses {used}");
    }
}

/// The source files of all binaries of the packages that `cargo lambda build` builds, by the names of the binaries.
fn lambda_binaries() -> BTreeMap<String, PathBuf> {
    let built: BTreeSet<String> = serde_json::from_value(cargo_lambda()["build"]["packages"].clone()).unwrap();
    let metadata = cargo_metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let packages = packages.filter(|package| built.contains(package["name"].as_str().unwrap()));
    let targets = packages.flat_map(|package| package["targets"].as_array().unwrap());
    // `cargo operate` needs a feature, so cargo-lambda does not build it.
    let binaries = targets.filter(|target| target["kind"][0] == "bin" && target["required-features"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    binaries.map(|target| (text(&target["name"]), text(&target["src_path"]).into())).collect()
}

#[test]
fn a_main_file_has_at_most_fifteen_lines() {
    for (_, main) in lambda_binaries() {
        let lines = fs::read_to_string(&main).unwrap().lines().count();
        assert!(lines <= 15, "{} has {lines} lines", main.display());
    }
}

#[test]
fn the_template_agrees_with_the_functions_and_the_read_models() {
    assert_template::<Domains>(&deployment());
    let template = template();
    let routes = template.functions.values().flat_map(|function| &function.routes);
    assert!(routes.into_iter().all(|route| !route.scopes.is_empty()), "a route without scopes");
}

fn cargo_metadata() -> Value {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    serde_json::from_slice::<Value>(&metadata.stdout).unwrap()
}

/// The configuration of cargo-lambda in the root manifest.
fn cargo_lambda() -> Value {
    cargo_metadata()["metadata"]["lambda"].clone()
}

#[test]
fn cargo_lambda_builds_the_functions_of_the_template_and_nothing_else() {
    assert!(lambda_binaries().keys().eq(template().functions.keys()));
}

#[test]
fn panics_unwind_in_the_binaries_of_cargo_lambda() {
    // cargo-lambda sets "abort", unless the profile sets another value.
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, release) = manifest.split_once("[profile.release]").unwrap();
    assert!(release.split("\n[").next().unwrap().contains("\npanic = \"unwind\""));
}

#[test]
fn cargo_lambda_watch_has_the_variables_of_the_template() {
    let variables: BTreeMap<String, String> = serde_json::from_value(cargo_lambda()["watch"]["env"].clone()).unwrap();
    let functions = template().functions.into_values();
    let mut environment: BTreeMap<String, String> = functions.flat_map(|function| function.environment).collect();
    // With the endpoint of an emulator, the tables have their names in the local stack.
    environment.retain(|name, _| !name.ends_with("_TABLE"));
    // These variables have other values than on AWS.
    for (name, value) in [
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000"),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://localhost:3000/aws"),
        ("AWS_ENDPOINT_URL_SCHEDULER", "http://localhost:3000/aws"),
        ("AWS_ENDPOINT_URL_SQS", "http://localhost:3000/aws"),
        ("METRICS_NAMESPACE", "orders"),
    ] {
        assert!(environment.insert(name.to_owned(), value.to_owned()).is_some());
    }
    assert_eq!(variables, environment);
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
    let others = template.tables.iter().filter(|(id, _)| *id != "EventsTable");
    assert!(others.into_iter().all(|(_, table)| table.stream.is_none()));
}
