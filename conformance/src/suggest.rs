//! What may have been meant by a mistyped word.

/// How many suggestions are made at most.
const MOST: usize = 3;
/// How alike two words must be, from 0 to 1, to be worth suggesting.
const ALIKE: f64 = 0.75;

/// The candidates most like `word`, the likeliest first; at most three, none if nothing is like it.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = candidates
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(word, candidate),
                candidate,
            )
        })
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    // Stable, so that equals keep the order in which they came.
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored
        .into_iter()
        .take(MOST)
        .map(|(_, candidate)| candidate.to_owned())
        .collect()
}

/// ": did you mean `a`, `b` or `c`?", or nothing if there is no candidate.
pub fn did_you_mean(candidates: &[String]) -> String {
    let quoted: Vec<String> = candidates.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => format!(": did you mean {only}?"),
        [first @ .., last] => format!(": did you mean {} or {last}?", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_strangers_never() {
        let words = ["statements", "prove", "list"];
        assert_eq!(nearest("statments", words.into_iter()), ["statements"]);
        assert_eq!(nearest("lsit", words.into_iter()), ["list"]);
        assert!(nearest("localhost", words.into_iter()).is_empty());
    }

    #[test]
    fn suggestions_read_like_a_sentence() {
        let words = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(did_you_mean(&words(&[])), "");
        assert_eq!(did_you_mean(&words(&["a"])), ": did you mean `a`?");
        assert_eq!(
            did_you_mean(&words(&["a", "b", "c"])),
            ": did you mean `a`, `b` or `c`?"
        );
    }
}
