//! Which SDK sent a request, told from its user agents.
//!
//! Management SDKs begin their user agent with `sdk <name>/<version>;`, in `X-User-Agent` or in `User-Agent`. Delivery
//! SDKs name themselves as the first product of `X-User-Agent`. A product without a version is no SDK: reports show
//! `name/version`.

/// The `name/version` of the SDK behind a request, if one made itself known.
#[must_use]
pub fn derive_sdk<'a>(user_agent: Option<&'a str>, x_user_agent: Option<&'a str>) -> Option<&'a str> {
    let announced = |agent: Option<&'a str>| agent.and_then(|text| text.strip_prefix("sdk ")).and_then(first_product);
    announced(x_user_agent).or_else(|| announced(user_agent)).or_else(|| x_user_agent.and_then(first_product))
}

/// Whether the text is a name, a slash and a version.
#[must_use]
pub fn is_name_and_version(text: &str) -> bool {
    text.split_once('/').is_some_and(|(name, version)| !name.is_empty() && !version.is_empty())
}

fn first_product(text: &str) -> Option<&str> {
    let product = text.trim_start().split([' ', '\t', ';', '(', ',']).next()?;
    is_name_and_version(product).then_some(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_management_sdk_is_read_from_either_header() {
        let agent = "sdk management-javascript/1.17.2; platform node.js/v20; os Linux";
        assert_eq!(derive_sdk(Some(agent), None), Some("management-javascript/1.17.2"));
        assert_eq!(derive_sdk(Some("node-fetch/1.0"), Some(agent)), Some("management-javascript/1.17.2"));
    }

    #[test]
    fn a_delivery_sdk_is_the_first_product_of_x_user_agent() {
        assert_eq!(
            derive_sdk(None, Some("delivery-android/3.12.1 Android/14 (Pixel)")),
            Some("delivery-android/3.12.1")
        );
        assert_eq!(derive_sdk(Some("sdk a/1;"), Some("b/2")), Some("a/1"));
    }

    #[test]
    fn a_browser_is_no_sdk() {
        assert_eq!(derive_sdk(Some("Mozilla/5.0 (X11)"), None), None);
        assert_eq!(derive_sdk(None, Some("delivery-python")), None);
        assert_eq!(derive_sdk(Some("sdk "), Some("")), None);
        assert_eq!(derive_sdk(None, Some("/1.0 x/2")), None);
    }
}
