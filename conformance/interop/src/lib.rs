//! Nothing but the tests: foreign clients against a running `quince-broker`.
