use super::*;

#[test]
fn every_rendering_is_the_json_of_the_value() {
    let value = ("a \"name\"\n", [1, 2], None::<u8>);
    let shared = Shared::new(value);
    for _ in 0..2 {
        let json = serde_json::to_string(&shared).unwrap();
        assert_eq!(json, serde_json::to_string(&value).unwrap());
    }
    assert_eq!(*shared, value);
}
