//! Which of many files a command shall take: `--include` and `--exclude`.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::failure::Failure;

const INCLUDE: &str = "include";
const EXCLUDE: &str = "exclude";

const HEADING: &str = "Filters";
const INCLUDE_HELP: &str = "Take only files that match, such as '*.jpg' or '/2024/**'; may be \
                            repeated";
const EXCLUDE_HELP: &str = "Leave out files that match, such as '*.tmp' or 'cache/'; may be \
                            repeated";
const INCLUDE_LONG_HELP: &str = "\
Take only files that match PATTERN, such as '*.jpg' or '/2024/**'; may be repeated.

Patterns are those of .gitignore: * and ? do not cross a /, ** does, and [a-z] is a set. One without a \
/ matches in every folder; one with a / before its end counts from the folder that was named. One that \
matches a folder matches all that is in it, and one that ends with a / matches folders only. Quote \
patterns, so that the shell leaves them alone.

The last --include or --exclude that matches a file decides. A file that none of them matches is left \
out if the first of them is an --include, and taken otherwise.";

/// The patterns of one command line, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilterArguments {
    rules: Vec<(Choice, String)>,
}

/// Decides file by file.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    choices: Vec<Choice>,
    /// Two globs for each rule: the thing itself, and what lies in it.
    globs: GlobSet,
    /// For files that no rule matches.
    otherwise: Choice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Include,
    Exclude,
}

impl FilterArguments {
    /// Whether there are any patterns.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Filters are for commands that look into folders.
    pub(crate) fn only_with(&self, recursive: bool) -> Result<(), Failure> {
        match recursive || self.is_empty() {
            true => Ok(()),
            false => {
                Err(Failure::usage("--include and --exclude choose among the files of a folder")
                    .hint("add -r to take folders"))
            }
        }
    }

    pub(crate) fn compile(&self) -> Result<Filter, Failure> {
        let mut globs = GlobSetBuilder::new();
        for (_, pattern) in &self.rules {
            for glob in spellings(pattern) {
                let built = GlobBuilder::new(&glob)
                    .literal_separator(true)
                    .backslash_escape(true)
                    .build()
                    .map_err(|error| bad_pattern(pattern, &error))?;
                globs.add(built);
            }
        }
        let globs = globs.build().map_err(|error| {
            Failure::usage(format!("these patterns are too much together: {error}"))
        })?;
        let choices: Vec<_> = self.rules.iter().map(|(choice, _)| *choice).collect();
        let otherwise = match choices.first() {
            Some(Choice::Include) => Choice::Exclude,
            Some(Choice::Exclude) | None => Choice::Include,
        };
        Ok(Filter { choices, globs, otherwise })
    }
}

impl Filter {
    /// Whether to take the file of this path, relative to the folder that was
    /// named.
    pub(crate) fn takes(&self, path: &str) -> bool {
        self.choices.is_empty() || self.choice(path) == Choice::Include
    }

    /// Whether there may be a file to take in this folder.
    pub(crate) fn looks_into(&self, folder: &str) -> bool {
        // A name that no pattern knows: only rules about the folder match it.
        let anything = format!("{folder}/\u{1}");
        let last = self.globs.matches(&anything).into_iter().max().map(|glob| glob / 2);
        match last {
            Some(rule) if self.choices[rule] == Choice::Exclude => {
                self.choices[rule..].contains(&Choice::Include)
            }
            _ => true,
        }
    }

    fn choice(&self, path: &str) -> Choice {
        let last = self.globs.matches(path).into_iter().max();
        last.map_or(self.otherwise, |glob| self.choices[glob / 2])
    }
}

/// A pattern as globs over whole paths: of the thing itself, and of what is in
/// it.
fn spellings(pattern: &str) -> [String; 2] {
    let (core, folders_only) = match pattern.strip_suffix('/') {
        Some(core) => (core, true),
        None => (pattern, false),
    };
    let anywhere = if core.contains('/') { "" } else { "**/" };
    let core = core.trim_start_matches('/');
    let inside = format!("{anywhere}{core}/**");
    let itself = if folders_only { inside.clone() } else { format!("{anywhere}{core}") };
    [itself, inside]
}

fn bad_pattern(pattern: &str, error: &globset::Error) -> Failure {
    let message = format!("{pattern:?} is no pattern: {}", error.kind());
    Failure::usage(message).hint("patterns are like '*.jpg', 'cache/' or '/2024/**'")
}

impl Args for FilterArguments {
    fn augment_args(command: Command) -> Command {
        let pattern = |id: &'static str, help: &'static str| {
            Arg::new(id)
                .long(id)
                .value_name("PATTERN")
                .action(ArgAction::Append)
                .help_heading(HEADING)
                .help(help)
        };
        command
            .arg(pattern(INCLUDE, INCLUDE_HELP).long_help(INCLUDE_LONG_HELP))
            .arg(pattern(EXCLUDE, EXCLUDE_HELP))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FilterArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut rules = Vec::new();
        for (id, choice) in [(INCLUDE, Choice::Include), (EXCLUDE, Choice::Exclude)] {
            let places = matches.indices_of(id).into_iter().flatten();
            let patterns = matches.get_many::<String>(id).into_iter().flatten();
            rules.extend(places.zip(patterns).map(|(place, it)| (place, choice, it.clone())));
        }
        rules.sort_by_key(|(place, ..)| *place);
        Ok(Self { rules: rules.into_iter().map(|(_, choice, it)| (choice, it)).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(arguments: &[&str]) -> Filter {
        let command = FilterArguments::augment_args(Command::new("test").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments).unwrap();
        FilterArguments::from_arg_matches(&matches).unwrap().compile().unwrap()
    }

    fn check(arguments: &[&str], taken: &[&str], left_out: &[&str]) {
        let filter = filter(arguments);
        for path in taken {
            assert!(filter.takes(path), "{arguments:?} leave out {path}");
            for (slash, _) in path.match_indices('/') {
                assert!(filter.looks_into(&path[..slash]), "{arguments:?} do not reach {path}");
            }
        }
        for path in left_out {
            assert!(!filter.takes(path), "{arguments:?} take {path}");
        }
    }

    #[test]
    fn without_patterns_everything_is_taken() {
        check(&[], &["a", "a/b"], &[]);
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        check(&["--exclude", "*.tmp"], &["a", "b/tmp", "b.tmpx"], &["a.tmp", "b/c/.tmp"]);
        check(&["--exclude", "cache/"], &["cache", "b/cache"], &["cache/a", "b/cache/c/d"]);
        check(&["--exclude", "cache"], &["caches/a"], &["cache", "b/cache/a"]);
        check(&["--exclude", "/cache"], &["b/cache", "b/cache/c"], &["cache", "cache/a/b"]);
        check(&["--exclude", "a/*.c"], &["b/a/x.c", "a/b/x.c"], &["a/x.c"]);
        check(&["--exclude", "a/**/x"], &["b/a/x"], &["a/x", "a/b/x", "a/b/c/x/y"]);
        check(&["--exclude", "[ab]?"], &["a", "c1"], &["a1", "c/b2"]);
        check(&["--exclude", r"\*"], &["a"], &["*", "b/*"]);
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let photos = ["--include", "*.jpg", "--exclude", "private/"];
        check(&photos, &["a.jpg", "b/a.jpg"], &["a.raw", "private/a.jpg", "b/private/c/a.jpg"]);
        let all_but = ["--exclude", "build/", "--include", "build/keep/**"];
        check(&all_but, &["a", "build/keep/x"], &["build/x"]);
        check(&["--exclude", "*", "--include", "*.jpg"], &["a.jpg", "b/c.jpg"], &["a", "b/c"]);
        check(&["--include", "*.jpg", "--exclude", "*"], &[], &["a.jpg", "a"]);
    }

    #[test]
    fn folders_that_hold_nothing_to_take_are_not_looked_into() {
        let all_but = filter(&["--exclude", "node_modules/", "--exclude", "/target"]);
        assert!(!all_but.looks_into("node_modules"));
        assert!(!all_but.looks_into("a/node_modules/b"));
        assert!(!all_but.looks_into("target"));
        assert!(all_but.looks_into("a/target"));
        let again = filter(&["--exclude", "target/", "--include", "*.md"]);
        assert!(again.looks_into("target"), "a later pattern may take something in it");
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        let arguments = FilterArguments { rules: vec![(Choice::Include, "[a".into())] };
        let failure = arguments.compile().unwrap_err();
        assert!(failure.message.contains("\"[a\" is no pattern"), "{}", failure.message);
    }
}
