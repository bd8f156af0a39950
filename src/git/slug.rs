//! Names of branches.

/// The longest name. Characters.
const LIMIT: usize = 60;

/// The name of a task's branch: `task-12-fix-the-flaky-test`, of `[a-z0-9-]`, 6 to 60 characters.
/// `again` tells apart a further one for the same task.
///
/// GitButler reads short names as ids of its own; a slash could make one name the folder of another.
pub fn slug(task: i64, title: &str, again: u32) -> String {
    let mut name = format!("task-{task}");
    if again > 1 {
        name.push_str(&format!("-{again}"));
    }
    let mut words = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => words.push(c),
            _ if words.ends_with('-') || words.is_empty() => {}
            _ => words.push('-'),
        }
        if name.len() + words.len() >= LIMIT - 1 {
            break;
        }
    }
    let words = words.trim_end_matches('-');
    if !words.is_empty() {
        name.push('-');
        name.push_str(words);
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::slug;

    #[test]
    fn names_say_what_they_are_for() {
        assert_eq!(slug(12, "Fix the *flaky* test!", 1), "task-12-fix-the-flaky-test");
        assert_eq!(slug(1, "", 1), "task-1");
        assert_eq!(slug(1, "…", 3), "task-1-3");
    }

    proptest! {
        #[test]
        fn every_title_gives_a_usable_name(task in 1i64.., title: String, again in 1u32..) {
            let name = slug(task, &title, again);
            prop_assert!((6..=60).contains(&name.len()), "{name}");
            prop_assert!(name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-')));
            prop_assert!(!name.ends_with('-') && !name.contains("--"));
        }
    }
}
