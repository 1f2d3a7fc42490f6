//! The tables that user agents and SDKs are put together from.
//!
//! A family's versions stand newest first, its platforms and the SDKs most frequent first: that is what their chances
//! follow. Some user agents hold quotes, back slashes and letters outside ASCII, because real ones do and something
//! always breaks on them.

/// User agents that differ in platform and version alone. In the template, `{p}` is the platform and `{v}` the version.
pub(super) struct Family {
    /// Share of its most frequent user agent.
    pub(super) weight: u64,
    pub(super) template: &'static str,
    pub(super) platforms: &'static [&'static str],
    pub(super) versions: &'static [&'static str],
}

const CHROMIUM: &[&str] = &[
    "147", "146", "145", "144", "143", "142", "141", "140", "139", "138", "137", "136", "135", "134", "133", "132",
    "131", "130", "129", "128", "127", "126", "125", "124", "123", "122", "121", "120", "119", "118", "117", "116",
    "115", "114",
];
const GECKO: &[&str] =
    &["150", "149", "148", "147", "146", "145", "144", "143", "142", "141", "140", "139", "136", "133", "128", "115"];
const IOS: &[&str] = &[
    "26.4", "26.3", "26.2", "26.1", "26.0", "18.7", "18.6", "18.5", "18.4", "18.3", "18.2", "18.1", "18.0", "17.7",
    "17.6", "17.5", "17.4", "17.3", "17.2", "17.1", "17.0", "16.7", "16.6", "16.5", "15.8",
];

/// What people use.
pub(super) const BROWSERS: &[Family] = &[
    Family {
        weight: 300,
        template: "Mozilla/5.0 ({p}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36",
        platforms: &[
            "Windows NT 10.0; Win64; x64",
            "Macintosh; Intel Mac OS X 10_15_7",
            "X11; Linux x86_64",
            "X11; CrOS x86_64 14541.0.0",
        ],
        versions: CHROMIUM,
    },
    Family {
        weight: 240,
        template: "Mozilla/5.0 ({p}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{v} Mobile/15E148 Safari/604.1",
        platforms: &["iPhone; CPU iPhone OS 18_6 like Mac OS X", "iPad; CPU OS 18_6 like Mac OS X"],
        versions: IOS,
    },
    Family {
        weight: 210,
        template: "Mozilla/5.0 ({p}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Mobile Safari/537.36",
        platforms: &["Linux; Android 10; K"],
        versions: CHROMIUM,
    },
    Family {
        weight: 90,
        template: "Mozilla/5.0 ({p}; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/{v}.0.7390.44 Mobile Safari/537.36",
        platforms: &[
            "Linux; Android 16; Pixel 10 Build/BP3A.250905.014",
            "Linux; Android 15; SM-S938B Build/AP3A.240905.015",
            "Linux; Android 14; \"Galaxy Tab\" SM-X910",
            "Linux; Android 15; Redmi Note 14",
            "Linux; Android 13; CPH2581",
            "Linux; Android 12; moto g(50)",
            "Linux; Android 14; V2334",
            "Linux; Android 11; Nokia 5.4",
        ],
        versions: CHROMIUM,
    },
    Family {
        weight: 70,
        template: "Mozilla/5.0 ({p}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36 Edg/{v}.0.0.0",
        platforms: &["Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7"],
        versions: CHROMIUM,
    },
    Family {
        weight: 65,
        template: "Mozilla/5.0 ({p}; rv:{v}.0) Gecko/20100101 Firefox/{v}.0",
        platforms: &[
            "Windows NT 10.0; Win64; x64",
            "Macintosh; Intel Mac OS X 10.15",
            "X11; Linux x86_64",
            "X11; Ubuntu; Linux x86_64",
            "Android 15; Mobile",
        ],
        versions: GECKO,
    },
    Family {
        weight: 60,
        template: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{v} Safari/605.1.15",
        platforms: &[""],
        versions: IOS,
    },
    Family {
        weight: 35,
        template: "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/{v} Chrome/136.0.0.0 {p}",
        platforms: &["Mobile Safari/537.36", "Safari/537.36"],
        versions: &["29.0", "28.0", "27.0", "26.0", "25.0"],
    },
    Family {
        weight: 40,
        template: "{p}/{v} CFNetwork/3826.600.41 Darwin/24.6.0",
        platforms: &["Shopfront", "Kaufhaus%20M%C3%BCller", "Kaufhaus Müller", "買い物", "Le Marché"],
        versions: &["7.4.1", "7.4.0", "7.3.2", "7.2.0", "6.9.9", "6.1.0"],
    },
];

/// What runs by itself. The Management SDKs name themselves in their user agent.
pub(super) const PROGRAMS: &[Family] = &[
    Family {
        weight: 150,
        template: "{p}/{v}",
        platforms: &["axios"],
        versions: &["1.13.2", "1.12.2", "1.11.0", "1.9.0", "1.8.4", "1.7.9", "1.6.8", "0.27.2"],
    },
    Family {
        weight: 120,
        template: "{p}",
        platforms: &["node", "undici", "-", "Java-http-client/21.0.9"],
        versions: &[""],
    },
    Family {
        weight: 90,
        template: "okhttp/{v}{p}",
        platforms: &[""],
        versions: &["5.2.1", "5.1.0", "4.12.0", "4.11.0", "4.9.3", "3.14.9"],
    },
    Family {
        weight: 60,
        template: "python-requests/{v}{p}",
        platforms: &[""],
        versions: &["2.32.5", "2.32.3", "2.31.0", "2.28.2", "2.25.1"],
    },
    Family {
        weight: 30,
        template: "{p}/{v}",
        platforms: &["PostmanRuntime"],
        versions: &["7.49.1", "7.48.0", "7.46.1", "7.43.0", "7.37.0", "7.29.2"],
    },
    Family { weight: 40, template: "Go-http-client/{v}{p}", platforms: &[""], versions: &["2.0", "1.1"] },
    Family {
        weight: 25,
        template: "curl/{v}{p}",
        platforms: &[""],
        versions: &["8.17.0", "8.14.1", "8.5.0", "7.88.1", "7.81.0", "7.68.0"],
    },
    Family {
        weight: 60,
        template: "Mozilla/5.0 (compatible; {p}",
        platforms: &[
            "Googlebot/2.1; +http://www.google.com/bot.html)",
            "bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "YandexBot/3.0; +http://yandex.com/bots)",
            "AhrefsBot/7.0; +http://ahrefs.com/robot/)",
            "DotBot/1.2; +https://opensiteexplorer.org/dotbot; help@moz.com)",
        ],
        versions: &[""],
    },
    Family {
        weight: 6,
        template: "{p}",
        platforms: &[
            "Nightly export (\"content backup\")",
            "C:\\Tools\\sync.exe",
            "Überwachung/2.1 (prüft alle 60 s)",
            "статус-монитор/1.0",
            "health-check \u{1f49a}",
        ],
        versions: &[""],
    },
    Family {
        weight: 90,
        template: "sdk contentstack-management-javascript/{v}; platform node.js/{p}",
        platforms: &[
            "v22.19.0; os Linux/6.1.0-39-cloud-amd64;",
            "v20.19.5; os Linux/5.4.176-91.338.amzn2.x86_64;",
            "v18.17.1; os Windows/10.0.22000;",
            "v22.19.0; os macOS/24.6.0;",
        ],
        versions: &["1.26.1", "1.25.0", "1.21.3", "1.18.0", "1.13.0"],
    },
    Family {
        weight: 35,
        template: "sdk contentstack-management-python/{v}; platform python/{p}",
        platforms: &["3.13.7; os Linux;", "3.12.3; os Linux;", "3.11.2; os Windows;"],
        versions: &["1.7.0", "1.6.1", "1.5.0", "1.3.1", "1.0.0"],
    },
    Family {
        weight: 25,
        template: "sdk contentstack-management-dotnet/{v}; platform .NET/{p}",
        platforms: &["9.0.9; os Windows;", "8.0.20; os Linux;"],
        versions: &["0.5.0", "0.4.0", "0.3.2", "0.2.0", "0.1.11"],
    },
];

/// SDKs that web pages use, of five versions each. They name themselves in a header of their own.
pub(super) const WEB_SDKS: [(&str, [&str; 5]); 3] = [
    ("contentstack-delivery-typescript", ["4.10.1", "4.8.0", "4.6.1", "4.4.4", "4.0.0"]),
    ("contentstack-javascript", ["3.26.2", "3.25.0", "3.24.1", "3.20.3", "3.15.0"]),
    ("cda-collection", ["v9.31.0", "v9.30.0", "v9.24.2", "v9.11.0", "v8.4.0"]),
];

/// SDKs that apps and servers use besides.
pub(super) const OTHER_SDKS: [(&str, [&str; 5]); 6] = [
    ("contentstack-android", ["4.2.1", "4.1.0", "3.16.1", "3.13.0", "3.10.1"]),
    ("contentstack-ios", ["3.15.0", "3.14.1", "3.12.0", "3.9.2", "3.6.0"]),
    ("contentstack-java", ["2.3.1", "2.2.0", "2.0.3", "1.15.1", "1.12.0"]),
    ("contentstack-dotnet", ["2.25.0", "2.22.1", "2.17.0", "2.11.0", "2.6.0"]),
    ("contentstack-php", ["2.4.2", "2.4.0", "2.3.0", "2.1.1", "1.8.0"]),
    ("contentstack-python", ["2.4.0", "2.2.0", "2.0.1", "1.9.0", "1.6.0"]),
];
