//! The names of a project, in all spellings.

use cqrs::derived_id;

/// The caller and the idempotency key of the first request in the generated `README.md`. They determine its id.
const FIRST_REQUEST: [&str; 2] = ["operator", "first"];

/// The names of an aggregate and of its view, both in lower case with dashes.
#[derive(Debug)]
pub(crate) struct Names {
    aggregate: String,
    views: String,
    view: String,
}

/// Keywords of Rust.
const KEYWORDS: &str = "\
    abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen if \
    impl in let loop macro match mod move mut override priv pub ref return self static struct super trait true try \
    type typeof union unsafe unsized use virtual where while yield";
/// Crates, and files that cargo treats as their roots.
const CRATES: &str = "alloc app axum bin core cqrs domain functions jiff lib main serde std strum thiserror utoipa";
/// Types of the toolkit and of the standard library.
const TYPES: &str = "\
    aggregate caller command-context counters deserialize event http-function id json-body option path-key problem \
    projection query-context read-model recorded response result rollup scope serialize status-code string text time \
    timestamp vec";
/// Modules, types and variables of the generated code.
const GENERATED: &str =
    "again alice command deployment open-document openapi opened owner-id path query status system title totals total";

impl Names {
    /// # Errors
    /// If a name is no noun in lower case with dashes, has another meaning in the code, or the view is no plural.
    pub(crate) fn new(aggregate: &str, views: Option<&str>) -> Result<Self, String> {
        check("--aggregate", aggregate)?;
        let views = views.map_or_else(|| format!("{aggregate}-summaries"), str::to_owned);
        let view = singular(&views).ok_or("--view must be a plural, such as loan-summaries")?;
        check("--view", &view)?;
        match view == aggregate {
            true => Err("--view must have another name than the aggregate, such as loan-summaries".to_owned()),
            false => Ok(Self { aggregate: aggregate.to_owned(), views, view }),
        }
    }

    /// Returns the placeholders of the template with their values.
    pub(crate) fn placeholders(&self) -> [(&'static str, String); 13] {
        let words = self.aggregate.replace('-', " ");
        let article = if words.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        let [caller, key] = FIRST_REQUEST;
        [
            ("«kebab»", self.aggregate.clone()),
            ("«snake»", self.aggregate.replace('-', "_")),
            ("«Camel»", camel(&self.aggregate)),
            ("«Words»", capitalized(&words)),
            ("«words»", words),
            ("«A»", capitalized(article)),
            ("«a»", article.to_owned()),
            ("«id»", derived_id(&[&self.aggregate, caller, key]).to_string()),
            ("«view»", self.view.replace('-', "_")),
            ("«View»", camel(&self.view)),
            ("«views»", self.views.clone()),
            ("«Views»", camel(&self.views)),
            ("«VIEWS»", self.views.replace('-', "_").to_ascii_uppercase()),
        ]
    }
}

fn check(option: &str, name: &str) -> Result<(), String> {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    };
    if !name.split('-').all(is_word) || name.len() > 40 {
        return Err(format!(
            "{option} must be a noun of at most 40 characters a-z and 0-9, with single dashes between words, such as \
             gift-card"
        ));
    }
    let mut reserved = [KEYWORDS, CRATES, TYPES, GENERATED].into_iter().flat_map(|words| words.split(' '));
    match reserved.any(|word| word == name) {
        true => Err(format!("{option}: `{name}` has another meaning in the code; choose another noun")),
        false => Ok(()),
    }
}

fn singular(plural: &str) -> Option<String> {
    let stem = plural.strip_suffix('s').filter(|stem| !stem.is_empty() && !stem.ends_with(['s', '-']))?;
    Some(stem.strip_suffix("ie").map_or_else(|| stem.to_owned(), |stem| format!("{stem}y")))
}

fn camel(name: &str) -> String {
    name.split('-').map(capitalized).collect()
}

fn capitalized(text: &str) -> String {
    let (first, rest) = text.split_at_checked(1).unwrap_or((text, ""));
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholder(names: &Names, placeholder: &str) -> String {
        names.placeholders().into_iter().find(|(name, _)| *name == placeholder).unwrap().1
    }

    #[test]
    fn names_have_the_spellings_of_code_paths_and_texts() {
        let names = Names::new("gift-card", None).unwrap();
        let expected = [
            ("«kebab»", "gift-card"),
            ("«snake»", "gift_card"),
            ("«Camel»", "GiftCard"),
            ("«words»", "gift card"),
            ("«a»", "a"),
            ("«view»", "gift_card_summary"),
            ("«View»", "GiftCardSummary"),
            ("«views»", "gift-card-summaries"),
            ("«Views»", "GiftCardSummaries"),
            ("«VIEWS»", "GIFT_CARD_SUMMARIES"),
        ];
        for (name, value) in expected {
            assert_eq!(placeholder(&names, name), value);
        }
        assert_eq!(placeholder(&Names::new("account", Some("balances")).unwrap(), "«a»"), "an");
    }

    #[test]
    fn a_name_is_a_noun_in_lower_case_with_dashes_that_has_no_other_meaning() {
        for invalid in ["", "Loan", "loan_1", "-loan", "loan-", "gift--card", "1st", "größe", "type", "event", "total"]
        {
            assert!(Names::new(invalid, None).is_err(), "{invalid}");
        }
        for invalid in ["loan", "loans", "overview", "s", "-s", "glass", "events"] {
            assert!(Names::new("loan", Some(invalid)).is_err(), "{invalid}");
        }
    }
}
