//! Compares the files of the public events with the code, and with every version of them that was ever committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::{
    Deployment,
    public_events::{PublicEventType, compatibility::incompatibilities, describe_all, file_name, pretty},
};

/// A committed version of a file.
struct Released {
    file: String,
    /// The id of its content.
    blob: String,
    /// The commit that introduced it.
    commit: String,
}

/// Asserts that `directory` has the JSON Schema of each type of public events, in each of its schema versions, and that
/// no schema was changed incompatibly since it was first committed.
///
/// A schema is released when it is committed. The file of the current schema version must be what the types give. A
/// change of the types needs the file to be written anew, but the commits remember what was released: each schema is
/// compared with all of its committed versions. Without a git repository there is nothing to compare with.
///
/// # Panics
/// At the first difference, with the command that writes the file, or with the reasons for a new schema version.
#[track_caller]
pub fn assert_public_schemas(deployment: &Deployment, directory: impl AsRef<Path>) {
    check_schemas(&types(deployment), directory.as_ref()).unwrap_or_else(|difference| panic!("{difference}"));
}

/// Asserts that `directory` has an example of each type of public events, in each of its schema versions.
///
/// # Panics
/// At the first difference, with the command that writes the file.
#[track_caller]
pub fn assert_public_samples(deployment: &Deployment, directory: impl AsRef<Path>) {
    let sample = |public: &PublicEventType| pretty(&public.example).unwrap();
    let checked = check_files(&types(deployment), directory.as_ref(), "sample", sample);
    checked.unwrap_or_else(|difference| panic!("{difference}"));
}

#[track_caller]
fn types(deployment: &Deployment) -> Vec<PublicEventType> {
    let publications = describe_all(deployment).unwrap_or_else(|error| panic!("{error}"));
    publications.into_iter().flat_map(|(_, types)| types).collect()
}

/// Compares the schemas with all committed ones, and then with the files. An incompatible change is reported before an
/// outdated file, so that nobody writes the file anew first.
fn check_schemas(types: &[PublicEventType], directory: &Path) -> Result<(), String> {
    let schemas: BTreeMap<String, Value> =
        types.iter().map(|public| (public.file_name(), public.json_schema())).collect();
    for Released { file, blob, commit } in released(directory)? {
        let released = parse(&file, &git(directory, &["cat-file", "blob", &blob])?)?;
        let current = match schemas.get(&file) {
            Some(schema) => schema.clone(),
            // An older schema version has only its file.
            None => parse(&file, &read_released(&directory.join(&file))?)?,
        };
        let reasons = incompatibilities(&released, &current).join("\n");
        if !reasons.is_empty() {
            return Err(format!(
                "{file} is not compatible with its version in commit {commit}; keep it, and add a schema version in \
                 PublicEvent::SCHEMAS:\n{reasons}"
            ));
        }
    }
    check_files(types, directory, "schema", |public| pretty(&public.json_schema()).unwrap())
}

/// Checks that the directory has a file for each schema version, and that those of the current versions are up to date.
fn check_files(
    types: &[PublicEventType],
    directory: &Path,
    command: &str,
    content: impl Fn(&PublicEventType) -> String,
) -> Result<(), String> {
    for public in types {
        let path = directory.join(public.file_name());
        if fs::read_to_string(&path).unwrap_or_default() != content(public) {
            return Err(format!("out of date; run: cargo local {command} {} > {}", public.name, path.display()));
        }
    }
    let of_type = |public: &PublicEventType| {
        let name = public.name.clone();
        (1..=public.schema).map(move |schema| file_name(&name, schema))
    };
    let expected: BTreeSet<String> = types.iter().flat_map(of_type).collect();
    let found = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let found: BTreeSet<String> =
        found.filter_map(|file| Some(file.ok()?.file_name().to_string_lossy().into_owned())).collect();
    if found == expected {
        return Ok(());
    }
    let difference: Vec<_> = found.symmetric_difference(&expected).collect();
    Err(format!("the files in {} and PublicEvent::SCHEMAS differ: {difference:?}", directory.display()))
}

/// Returns every content that a file in `directory` has had in a commit, from the history of HEAD.
fn released(directory: &Path) -> Result<Vec<Released>, String> {
    let absolute = fs::canonicalize(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    if !absolute.ancestors().any(|ancestor| ancestor.join(".git").exists()) {
        return Ok(Vec::new());
    }
    // `-m` includes what a merge changes by itself. A line is `:<modes> <old blob> <new blob> <status>`, a tab and the
    // path.
    let arguments = ["log", "-m", "--raw", "--no-abbrev", "--no-renames", "--format=commit %h", "--", "."];
    let (mut commit, mut found) = (String::new(), BTreeMap::new());
    for line in git(directory, &arguments)?.lines() {
        if let Some(id) = line.strip_prefix("commit ") {
            id.clone_into(&mut commit);
        } else if let Some((change, path)) = line.split_once('\t') {
            let blob = change.split(' ').nth(3).unwrap_or_default().to_owned();
            let file = path.rsplit('/').next().unwrap_or_default().to_owned();
            // The new blob of a deleted file is zero.
            if blob.bytes().any(|digit| digit != b'0') {
                found.entry((file, blob)).or_insert_with(|| commit.clone());
            }
        }
    }
    Ok(found.into_iter().map(|((file, blob), commit)| Released { file, blob, commit }).collect())
}

/// Runs git in a directory. A repository of another user is read too, as in a container.
fn git(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command.args(["-c", "safe.directory=*"]).args(arguments).current_dir(directory);
    // Git sets these for its hooks, and they would name another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    let output =
        command.output().map_err(|error| format!("git is needed to compare with released schemas: {error}"))?;
    if !output.status.success() {
        return Err(format!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

fn read_released(path: &Path) -> Result<String, String> {
    fs::read_to_string(path)
        .map_err(|error| format!("{} was released and cannot be read: {error}; restore it", path.display()))
}

fn parse(file: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{env, path::PathBuf, process};

    use serde_json::json;

    use super::*;

    /// A git repository with the schemas of one type of public events. It is removed at the end.
    struct Repository(PathBuf);

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Repository {
        fn new(name: &str) -> Self {
            let directory = env::temp_dir().join(format!("public-events-{name}-{}", process::id()));
            fs::create_dir_all(&directory).unwrap();
            git(&directory, &["init", "--quiet"]).unwrap();
            Self(directory)
        }

        /// Writes the file of a type anew and commits all files.
        fn commit(&self, public: &PublicEventType) {
            fs::write(self.0.join(public.file_name()), pretty(&public.json_schema()).unwrap()).unwrap();
            git(&self.0, &["add", "--all"]).unwrap();
            // Without the settings of the machine's user.
            let settings = "user.name=Test user.email=test@example.com commit.gpgSign=false core.hooksPath=/dev/null";
            let settings = settings.split(' ').flat_map(|setting| ["-c", setting]);
            let commit = settings.chain(["commit", "--quiet", "--message", "Change"]);
            git(&self.0, &commit.collect::<Vec<_>>()).unwrap();
        }

        fn check(&self, public: &PublicEventType) -> Result<(), String> {
            // The folder `.git` is no schema.
            let checked = check_schemas(std::slice::from_ref(public), &self.0);
            checked.or_else(|error| if error.ends_with("differ: [\".git\"]") { Ok(()) } else { Err(error) })
        }
    }

    fn sent(schema: u32, properties: Value) -> PublicEventType {
        PublicEventType {
            name: "parcel.sent".to_owned(),
            schema,
            summary: String::new(),
            data: json!({ "type": "object", "properties": properties }),
            example: json!({}),
        }
    }

    #[test]
    fn an_incompatible_change_is_refused_before_and_after_its_file_is_written_and_committed() {
        let repository = Repository::new("incompatible");
        let (old, new) = (sent(1, json!({ "town": { "type": "string" } })), sent(1, json!({})));
        repository.commit(&old);
        assert_eq!(repository.check(&old), Ok(()));
        let refused = |repository: &Repository| {
            let error = repository.check(&new).unwrap_err();
            assert!(error.contains("/properties/town was removed"), "{error}");
        };
        refused(&repository);
        repository.commit(&new);
        refused(&repository);
    }

    #[test]
    fn an_optional_property_is_added_in_the_same_schema_version() {
        let repository = Repository::new("compatible");
        repository.commit(&sent(1, json!({ "town": { "type": "string" } })));
        let added = sent(1, json!({ "town": { "type": "string" }, "street": { "type": "string" } }));
        let error = repository.check(&added).unwrap_err();
        assert!(error.starts_with("out of date; run: cargo local schema parcel.sent > "), "{error}");
        repository.commit(&added);
        assert_eq!(repository.check(&added), Ok(()));
    }

    #[test]
    fn a_new_schema_version_may_change_everything_while_the_file_of_the_old_one_stays() {
        let repository = Repository::new("version");
        repository.commit(&sent(1, json!({ "town": { "type": "string" } })));
        let second = sent(2, json!({ "street": { "type": "integer" } }));
        repository.commit(&second);
        assert_eq!(repository.check(&second), Ok(()));
        let first = repository.0.join("parcel.sent.v1.json");
        let kept = fs::read_to_string(&first).unwrap();
        fs::write(&first, kept.replace("string", "number")).unwrap();
        let error = repository.check(&second).unwrap_err();
        assert!(error.starts_with("parcel.sent.v1.json is not compatible"), "{error}");
        fs::remove_file(&first).unwrap();
        repository.commit(&second);
        let error = repository.check(&second).unwrap_err();
        assert!(error.contains("parcel.sent.v1.json was released and cannot be read"), "{error}");
    }
}
