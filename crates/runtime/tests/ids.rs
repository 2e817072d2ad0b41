//! Token ids in, the numbers that texts give out.

use attar_runtime::{Input, Options, Precision, Session, Text};
use attar_testing::fixture_models;
use attar_text::tokenizer::Encodings;

#[test]
fn ids_give_what_their_texts_give() {
    let texts: [Text<'_>; 3] = [("the b", None), ("", None), ("of the a b c d", None)];
    let mut compared = 0;
    for model in fixture_models() {
        let Ok(mut session) = Session::load(&model.dir, &Options::new(Precision::F32, 2)) else { continue };
        let mut encodings = Encodings::default();
        let tokenizer = session.shared_tokenizer();
        for (text, pair) in texts {
            encodings.push(&tokenizer, text, pair, session.limit()).unwrap();
        }
        let input = Input::new(&encodings.ids, &encodings.types, &encodings.lengths).unwrap();
        let pooling = session.pooling();
        assert_eq!(session.vectors_of(input, pooling, 0).unwrap(), session.embed(&texts, pooling, |_| ()).unwrap());
        assert_eq!(session.states_of(input).unwrap().len(), input.tokens());
        if session.target().is_ok() && !session.compares() {
            assert_eq!(session.logits_of(input).unwrap(), session.logits(&texts, |_| ()).unwrap(), "{}", model.name);
            compared += 1;
        } else if !session.compares() {
            assert!(session.logits_of(input).is_err(), "{}", model.name);
        }
    }
    assert!(compared > 1);
}
