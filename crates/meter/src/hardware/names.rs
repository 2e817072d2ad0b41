//! How names of hardware are compared.

/// Everything that answers to a name, by the first of these rules that finds anything: the same
/// name in any case; the same words; the same letters and digits; all words of the name in any order,
/// or the letters of the name in a run of whole words.
pub(super) fn find<'a, T>(wanted: &str, entries: impl Iterator<Item = (&'a str, &'a T)> + Clone) -> Vec<&'a T> {
    let trimmed = wanted.trim();
    let same_name = entries.clone().filter(|(name, _)| name.eq_ignore_ascii_case(trimmed));
    let same_name = unique(same_name.map(|(_, entry)| entry));
    if !same_name.is_empty() {
        return same_name;
    }
    let words = words(trimmed);
    if words.is_empty() {
        return Vec::new();
    }
    let found = by_words(&words, &entries);
    if !found.is_empty() {
        return found;
    }
    // "11th Gen Intel(R) Core(TM) i7-1165G7", as processors name themselves.
    let ungenerated: Vec<String> =
        words.iter().filter(|word| *word != "gen" && !is_ordinal(word)).map(String::clone).collect();
    if ungenerated.is_empty() || ungenerated == words { Vec::new() } else { by_words(&ungenerated, &entries) }
}

fn by_words<'a, T>(words: &[String], entries: &(impl Iterator<Item = (&'a str, &'a T)> + Clone)) -> Vec<&'a T> {
    let key = words.concat();
    let all_words = |name: &[String]| words.iter().all(|word| name.contains(word)) || has_run(name, &key);
    let named: Vec<(Vec<String>, &T)> = entries.clone().map(|(name, entry)| (self::words(name), entry)).collect();
    let same_words = answering(&named, |name| name == words);
    let same_letters = answering(&named, |name| name.concat() == key);
    [same_words, same_letters, answering(&named, all_words)]
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

fn answering<'a, T>(named: &[(Vec<String>, &'a T)], rule: impl Fn(&[String]) -> bool) -> Vec<&'a T> {
    unique(named.iter().filter(|(name, _)| rule(name)).map(|(_, entry)| *entry))
}

/// An entry that answers by several of its names counts once; its names stand together.
fn unique<'a, T>(hits: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut found: Vec<&T> = hits.collect();
    found.dedup_by(|a, b| std::ptr::eq(*a, *b));
    found
}

/// Whether some whole words in a row make up the letters wanted.
fn has_run(name: &[String], key: &str) -> bool {
    (0..name.len()).any(|from| {
        let mut rest = key;
        for word in &name[from..] {
            match rest.strip_prefix(word.as_str()) {
                Some("") => return true,
                Some(more) => rest = more,
                None => return false,
            }
        }
        false
    })
}

/// Lower-case words of a name, without vendors, trade marks, the clock (`@ 2.10GHz`) and what
/// processors append to their names (`64-Core Processor`).
fn words(name: &str) -> Vec<String> {
    let name = name.split('@').next().unwrap_or_default().to_lowercase();
    let name = name.replace("(r)", " ").replace("(tm)", " ");
    let all: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let counts_cores = |i: usize| {
        let number = |word: &str| word.bytes().all(|c| c.is_ascii_digit());
        (all[i] == "core" && i > 0 && number(all[i - 1]))
            || (number(all[i]) && all.get(i + 1) == Some(&"core") && all.get(i + 2) == Some(&"processor"))
    };
    let noise = |word: &str| {
        matches!(word, "nvidia" | "tesla" | "geforce" | "intel" | "amd" | "cpu" | "processor" | "tm" | "genuine")
    };
    (0..all.len()).filter(|i| !noise(all[*i]) && !counts_cores(*i)).map(|i| all[i].to_owned()).collect()
}

fn is_ordinal(word: &str) -> bool {
    ["st", "nd", "rd", "th"]
        .iter()
        .any(|end| word.strip_suffix(end).is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_leave_out_what_tells_nothing() {
        let cases = [
            ("Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz", "xeon e5 2620 v4"),
            ("AMD EPYC 7763 64-Core Processor", "epyc 7763"),
            ("NVIDIA A100-SXM4-80GB", "a100 sxm4 80gb"),
            ("Intel Core i7-8700", "core i7 8700"),
            ("  ", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(words(name).join(" "), expected, "{name}");
        }
    }

    #[test]
    fn a_run_is_of_whole_words() {
        let name = words("Intel Xeon E5-2630 v4");
        for (key, expected) in
            [("e52630v4", true), ("2630", true), ("xeone5", true), ("630v4", false), ("e5263", false), ("", false)]
        {
            assert_eq!(has_run(&name, key), expected, "{key}");
        }
    }

    #[test]
    fn the_strictest_rule_that_finds_anything_wins() {
        let entries = [("RTX 2080", 1), ("RTX 2080 Ti", 2), ("Celeron 2.20", 3), ("Celeron 220", 4)];
        let found = |wanted| find(wanted, entries.iter().map(|(name, value)| (*name, value)));
        assert_eq!(found("rtx2080"), [&1]);
        assert_eq!(found("2080"), [&1, &2]);
        assert_eq!(found("2080ti"), [&2]);
        assert_eq!(found("celeron-2.20"), [&3]);
        assert_eq!(found("CELERON220"), [&3, &4]);
        assert!(found("").is_empty() && found("@").is_empty() && found("GTX 2080").is_empty());
    }
}
