//! Fills in the template and writes the files.

use std::{
    fs::{self, create_dir_all},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{names::Names, template::FILES};

/// The placeholder for the toolkit in the manifest: `path = "«toolkit»/shared/cqrs"`.
const TOOLKIT: &str = "path = \"«toolkit»/";

/// A project to write.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) names: Names,
    pub(crate) toolkit: Toolkit,
}

/// The location of the toolkit, for cargo.
#[derive(Debug, PartialEq)]
pub(crate) enum Toolkit {
    /// The absolute path of a checkout.
    Path(PathBuf),
    /// The URL of a git repository.
    Git(String),
}

impl Toolkit {
    /// Parses a path or a URL. The default is the checkout that this program was built from.
    ///
    /// # Errors
    /// If the path is not a checkout of the toolkit.
    pub(crate) fn new(toolkit: Option<&str>) -> Result<Self, String> {
        let toolkit = toolkit.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        if toolkit.contains("://") || toolkit.starts_with("git@") {
            return Ok(Self::Git(toolkit.to_owned()));
        }
        match fs::canonicalize(toolkit) {
            Ok(path) if path.join("shared/cqrs/Cargo.toml").exists() => Ok(Self::Path(path)),
            _ => Err(format!("{toolkit} is not a checkout of the toolkit; pass its path or git URL as --toolkit")),
        }
    }

    /// Replaces the paths of the toolkit's crates in a manifest.
    fn fill_in(&self, manifest: &str) -> String {
        let fill_in = |line: &str| match (line.split_once(TOOLKIT), self) {
            (None, _) => line.to_owned(),
            (Some((start, end)), Self::Path(path)) => format!("{start}path = \"{}/{end}", path.display()),
            (Some((start, end)), Self::Git(url)) => {
                let (_, end) = end.split_once('"').unwrap_or_default();
                format!("{start}git = \"{url}\"{end}")
            }
        };
        manifest.lines().map(|line| fill_in(line) + "\n").collect()
    }
}

impl Project {
    /// Writes the project and formats its code. Returns the number of files.
    ///
    /// # Errors
    /// If the directory is not empty, or a file cannot be written.
    pub(crate) fn write(&self, directory: &Path) -> Result<usize, String> {
        let describe = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        if directory.exists() {
            let mut entries = fs::read_dir(directory).map_err(|error| describe(directory, error))?;
            if entries.next().is_some() {
                return Err(format!("{} is not empty; choose a new directory", directory.display()));
            }
        }
        let files = self.files();
        for (path, content) in &files {
            let path = directory.join(path);
            let parent = path.parent().unwrap_or(directory);
            create_dir_all(parent).and_then(|()| fs::write(&path, content)).map_err(|error| describe(&path, error))?;
        }
        // The length of the names decides where lines break, and the letters decide the order of imports.
        let formatted =
            Command::new("cargo").args(["fmt", "--all"]).current_dir(directory).stderr(Stdio::null()).status();
        if !formatted.is_ok_and(|status| status.success()) {
            eprintln!("cargo scaffold: the code is not formatted, because `cargo fmt` failed");
        }
        Ok(files.len())
    }

    /// Returns the files by their paths.
    fn files(&self) -> Vec<(String, String)> {
        let placeholders = self.names.placeholders();
        let fill_in = |text: &str| {
            placeholders.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
        };
        let file = |(path, content): &(&str, &str)| (fill_in(path), self.toolkit.fill_in(&fill_in(content)));
        FILES.iter().map(file).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn project() -> Project {
        Project { names: Names::new("gift-card", None).unwrap(), toolkit: Toolkit::new(None).unwrap() }
    }

    fn manifest(toolkit: Toolkit) -> String {
        let project = Project { toolkit, ..project() };
        project.files().into_iter().find(|(path, _)| path == "Cargo.toml").unwrap().1
    }

    #[test]
    fn a_project_has_no_placeholders() {
        for (path, content) in project().files() {
            assert!(!path.contains(['«', '»']) && !content.contains(['«', '»']), "{path}");
        }
    }

    #[test]
    fn a_project_is_small() {
        let files = project().files();
        let lines: usize = files.iter().filter(|(path, _)| path != "Cargo.lock").map(|(_, c)| c.lines().count()).sum();
        assert!(files.len() <= 31 && lines <= 1000, "{} files, {lines} lines", files.len());
    }

    #[test]
    fn a_project_depends_on_the_toolkit_by_path_or_by_git() {
        let by_path = manifest(Toolkit::Path("/toolkit".into()));
        assert!(by_path.contains("\ncqrs = { path = \"/toolkit/shared/cqrs\" }\n"));
        let by_git = manifest(Toolkit::new(Some("https://example.com/toolkit")).unwrap());
        assert!(by_git.contains("\ncqrs = { git = \"https://example.com/toolkit\" }\n"));
        let maintain = "\nmaintain = { git = \"https://example.com/toolkit\", default-features = false }\n";
        assert!(by_git.contains(maintain));
        assert!(Toolkit::new(Some("/nowhere")).is_err());
    }

    /// The versions are those of this repository, so that its `Cargo.lock` fits.
    #[test]
    fn the_dependencies_of_a_project_are_those_of_this_repository() {
        let dependencies = |manifest: &str| -> BTreeSet<String> {
            let (_, section) = manifest.split_once("\n[workspace.dependencies]\n").unwrap();
            let (section, _) = section.split_once("\n[").unwrap();
            let third_party = section.lines().filter(|line| line.contains("version = ") || line.contains("= \""));
            let third_party = third_party.filter(|line| !line.contains("path = "));
            third_party.map(|line| line.split(" #").next().unwrap().to_owned()).collect()
        };
        let of_this_repository = dependencies(include_str!("../../../Cargo.toml"));
        let of_a_project = dependencies(&manifest(Toolkit::new(None).unwrap()));
        let others: Vec<_> = of_a_project.difference(&of_this_repository).collect();
        assert!(others.is_empty() && of_a_project.len() >= 8, "{others:?}");
    }

    #[test]
    fn a_project_is_written_only_into_an_empty_directory() {
        let error = project().write(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err();
        assert!(error.ends_with("is not empty; choose a new directory"), "{error}");
    }
}
