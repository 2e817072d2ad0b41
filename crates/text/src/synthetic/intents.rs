//! The grammar itself: what people say for each intent, and the words that fill the gaps.

use super::grammar::Fillers;

/// What is said for one intent.
pub(super) struct Intent {
    pub(super) name: &'static str,
    /// The intent whose commands differ from this one's in a word or two.
    pub(super) opposite: &'static str,
    /// Commands in the form that follows "please", "could you" and "don't".
    pub(super) commands: &'static [&'static str],
    /// Commands in development and test sentences only.
    pub(super) held_out_commands: &'static [&'static str],
    /// Whole sentences: questions and statements.
    pub(super) sentences: &'static [&'static str],
    /// Whole sentences in development and test only.
    pub(super) held_out_sentences: &'static [&'static str],
}

/// The intent of a speaker who wants nothing done. It has no command of its own.
pub(super) const NOTHING: &str = "nothing";

/// The intents in the order of their classes, but for [`NOTHING`], which is the last class.
pub(super) const INTENTS: &[Intent] = &[
    Intent {
        name: "lights_on",
        opposite: "lights_off",
        commands: &[
            "turn on the {light} [in the {room}|]",
            "turn the {light} [in the {room}|] on",
            "switch on the {room} {light}",
            "switch the {light} on [in the {room}|]",
            "put the {room} {light} on",
        ],
        held_out_commands: &["put on the {light} [in the {room}|]", "get the {light} in the {room} on"],
        sentences: &[
            "it is too dark in the {room}",
            "i can not see anything in the {room}",
            "the {light} in the {room} should be on",
        ],
        held_out_sentences: &["i want the {light} on in the {room}", "it is so dark in the {room} that i can not see"],
    },
    Intent {
        name: "lights_off",
        opposite: "lights_on",
        commands: &[
            "turn off the {light} [in the {room}|]",
            "turn the {light} [in the {room}|] off",
            "switch off the {room} {light}",
            "switch the {light} off [in the {room}|]",
            "put the {room} {light} out",
        ],
        held_out_commands: &["put out the {light} [in the {room}|]", "get the {light} in the {room} off"],
        sentences: &[
            "it is too bright in the {room}",
            "nobody needs the {light} in the {room} any more",
            "the {light} in the {room} should be off",
        ],
        held_out_sentences: &[
            "i want the {light} off in the {room}",
            "nobody is in the {room} so it is too bright there",
        ],
    },
    Intent {
        name: "set_temperature",
        opposite: "lights_on",
        commands: &[
            "set the [temperature|heating] [in the {room}|] to {number} degrees",
            "make it {number} degrees in the {room}",
            "heat the {room} to {number} degrees",
            "turn the heating [in the {room}|] [up|down|on|off]",
            "cool the {room} down [to {number} degrees|]",
        ],
        held_out_commands: &["turn [up|down] the heating [in the {room}|]", "make the {room} [warmer|cooler]"],
        sentences: &[
            "it is too [warm|cold] in the {room}",
            "the {room} should be at {number} degrees",
            "i am freezing in the {room}",
        ],
        held_out_sentences: &[
            "i want it [warmer|cooler] in the {room}",
            "{number} degrees would be better in the {room}",
        ],
    },
    Intent {
        name: "play_music",
        opposite: "stop_music",
        commands: &[
            "play [some|] {music} [in the {room}|]",
            "start the {music} playlist",
            "turn the [music|radio] on [in the {room}|]",
            "turn on some {music}",
            "continue the [song|music|{music} playlist]",
        ],
        held_out_commands: &["put on some {music}", "turn on the [music|radio]"],
        sentences: &[
            "i want to hear [some|] {music}",
            "what about some {music} in the {room}",
            "it is too quiet in the {room}",
        ],
        held_out_sentences: &["some {music} would be nice", "i would love to hear {music} in the {room}"],
    },
    Intent {
        name: "stop_music",
        opposite: "play_music",
        commands: &[
            "stop [playing|] [the music|{music}] [in the {room}|]",
            "pause the {music} playlist",
            "turn the [music|radio] off [in the {room}|]",
            "turn off that {music}",
            "end the [song|music|{music} playlist]",
        ],
        held_out_commands: &["stop that {music}", "turn off the [music|radio]"],
        sentences: &[
            "i do not want to hear {music} [any more|]",
            "enough {music} for today",
            "it is too loud in the {room}",
        ],
        held_out_sentences: &["no more {music} in the {room}", "i hate this {music}"],
    },
    Intent {
        name: "set_alarm",
        opposite: "set_temperature",
        commands: &[
            "set [an|the] alarm for {time}",
            "set the alarm clock to {time}",
            "wake me [up|] at {time}",
            "wake us [up|] {day} at {time}",
            "let the alarm ring at {time}",
        ],
        held_out_commands: &["put the alarm on {time}", "make sure that i wake up at {time}"],
        sentences: &["i have to get up at {time} {day}", "i need an alarm at {time}", "my alarm should ring at {time}"],
        held_out_sentences: &["i must not sleep past {time}", "we have to be up at {time}"],
    },
    Intent {
        name: "weather",
        opposite: "opening_hours",
        commands: &[
            "tell me [what|how] the weather [is|will be] [like|] in {city}",
            "check the forecast for {date}",
            "tell me [if|whether] it will [rain|snow] {day}",
            "look up how [cold|warm] it will be in {city} {day}",
        ],
        held_out_commands: &["tell me the forecast for {city}", "find out whether {date} will be [sunny|cold]"],
        sentences: &[
            "what will the weather be like {day}",
            "will it [rain|snow] in {city} {day}",
            "how [warm|cold] is it [going to be|] in {city}",
            "do i need an umbrella {day}",
        ],
        held_out_sentences: &["is it [sunny|cold] in {city}", "what does the forecast say for {date}"],
    },
    Intent {
        name: "open_blinds",
        opposite: "close_blinds",
        commands: &[
            "open the {blind} [in the {room}|]",
            "pull the {room} {blind} up",
            "raise the {blind} [in the {room}|]",
            "let the {blind} up in the {room}",
            "let some light into the {room}",
        ],
        held_out_commands: &["pull up the {blind} [in the {room}|]", "put the {room} {blind} up"],
        sentences: &["the {blind} in the {room} should be open", "i want to look out of the {room} window"],
        held_out_sentences: &["i want the {blind} up in the {room}", "i want some light from the window in the {room}"],
    },
    Intent {
        name: "close_blinds",
        opposite: "open_blinds",
        commands: &[
            "close the {blind} [in the {room}|]",
            "pull the {room} {blind} down",
            "lower the {blind} [in the {room}|]",
            "let the {blind} down in the {room}",
            "keep the light out of the {room}",
        ],
        held_out_commands: &["pull down the {blind} [in the {room}|]", "put the {room} {blind} down"],
        sentences: &["the {blind} in the {room} should be closed", "the neighbours look into the {room} window"],
        held_out_sentences: &[
            "i want the {blind} down in the {room}",
            "the light from the window in the {room} is too much",
        ],
    },
    Intent {
        name: "vacuum_start",
        opposite: "stop_music",
        commands: &[
            "vacuum the {room}",
            "start the [vacuum|robot] [in the {room}|]",
            "turn the vacuum on",
            "clean the [floor|carpet] in the {room}",
            "send the robot into the {room}",
        ],
        held_out_commands: &["turn on the [vacuum|robot] in the {room}", "let the robot clean the {room}"],
        sentences: &["the [floor|carpet] in the {room} is dirty", "there is dust all over the {room}"],
        held_out_sentences: &["the {room} needs the vacuum", "the {room} is full of dust"],
    },
    Intent {
        name: "order_item",
        opposite: "cancel_order",
        commands: &[
            "order [a|another] {item}",
            "buy [a|the] {color} {item}",
            "get me a {item}",
            "add [a|the] {color} {item} to my order",
            "send [a|the] {item} to my house",
        ],
        held_out_commands: &["put a {item} on my order", "order me the {color} {item}"],
        sentences: &[
            "i would like to buy a {item}",
            "i need a [new|] {color} {item}",
            "order the {item} , cancel nothing",
            "my order should have a {item} [too|in it]",
        ],
        held_out_sentences: &["i want to order the {color} {item}", "a {item} for me [please|]"],
    },
    Intent {
        name: "cancel_order",
        opposite: "order_item",
        commands: &[
            "cancel my order [of|for] the {item}",
            "cancel the {color} {item} i ordered",
            "take the {item} off my order",
            "stop the order [of|for] the {color} {item}",
            "remove the {item} from my order",
        ],
        held_out_commands: &["take the {color} {item} out of my order", "cancel the order with the {item}"],
        sentences: &[
            "i do not need the {item} i ordered [any more|]",
            "the order of the {item} was a mistake",
            "order nothing , cancel the {item}",
            "my order should not have a {item} in it",
        ],
        held_out_sentences: &["i no longer want the {color} {item} i ordered", "i ordered the {item} by mistake"],
    },
    Intent {
        name: "track_order",
        opposite: "return_item",
        commands: &[
            "tell me where my {item} is",
            "find out when the {item} i ordered will arrive",
            "track my order [of|for] the {item}",
            "check where the {color} {item} is",
            "look up when my order will arrive",
        ],
        held_out_commands: &["find out where my order is", "tell me when the {item} will be here"],
        sentences: &[
            "where is the {item} i ordered",
            "when will my {color} {item} arrive",
            "has my {item} been sent yet",
            "my {item} has not arrived yet",
        ],
        held_out_sentences: &["when will the {item} be sent", "i am still waiting for my {item}"],
    },
    Intent {
        name: "return_item",
        opposite: "track_order",
        commands: &[
            "take the {item} back",
            "start a return for the {color} {item}",
            "send the {item} i ordered back",
            "give me my money back for the {item}",
            "let me return my {item}",
        ],
        held_out_commands: &["send back my {color} {item}", "take back the {item} that arrived"],
        sentences: &[
            "the {item} i ordered is broken [, i want to send it back|]",
            "i would like to return my {color} {item}",
            "the {item} that arrived is the wrong color",
            "how can i send the {item} back",
        ],
        held_out_sentences: &["i want my money back for the {item}", "the {color} {item} arrived broken"],
    },
    Intent {
        name: "opening_hours",
        opposite: "weather",
        commands: &[
            "tell me when the shop [opens|closes] {day}",
            "find out [if|whether] the shop is open {day}",
            "look up how long you are open {day}",
            "check when the store in {city} [opens|closes]",
        ],
        held_out_commands: &["tell me how long the store is open {day}", "look up when the shop in {city} is open"],
        sentences: &[
            "when do you [open|close] {day}",
            "is the [shop|store] in {city} open {day}",
            "how long is the [shop|store] open",
            "can i come to the shop at {time}",
        ],
        held_out_sentences: &["are you open {day} at {time}", "will the store in {city} be closed {day}"],
    },
    Intent {
        name: "product_price",
        opposite: "stock_check",
        commands: &[
            "tell me what the {item} costs",
            "tell me how much a {color} {item} is",
            "look up the price of the {item}",
            "check what i have to pay for a {item}",
        ],
        held_out_commands: &["find out how much the {color} {item} costs", "check the price of a {item}"],
        sentences: &[
            "how much is the {color} {item}",
            "what does a {item} cost",
            "what is the price of the {item}",
            "do i get the {item} for {number} dollars",
        ],
        held_out_sentences: &["how much do i pay for a {item}", "is the {item} more than {number} dollars"],
    },
    Intent {
        name: "stock_check",
        opposite: "product_price",
        commands: &[
            "tell me [if|whether] you have the {item} in {color}",
            "check [if|whether] the {item} is in stock",
            "find out how many {color} {item}s you have",
            "look up whether there is a {item} left",
        ],
        held_out_commands: &["check whether you still have a {color} {item}", "find out if there is a {item} in stock"],
        sentences: &[
            "do you have the {item} in {color}",
            "is the {color} {item} in stock",
            "are there any {item}s left",
            "can i get the {item} in {color} at your store",
        ],
        held_out_sentences: &["how many {item}s do you have left", "have you got a {color} {item}"],
    },
];

/// Sentences of a speaker who wants nothing done.
pub(super) const NOTHING_SENTENCES: &[&str] = &[
    "[just|please|] leave everything [in the {room}|] as it is",
    "[please|] do nothing [about the {item}|for now|]",
    "forget [what i said|it|about the {item}]",
    "[oh|] never mind [the {light}|the {item}|the {blind}|]",
];

/// Sentences of such a speaker in development and test only.
pub(super) const HELD_OUT_NOTHING_SENTENCES: &[&str] =
    &["leave the {light} as [it is|they are]", "please do nothing in the {room} for now"];

/// Words that fill gaps. Several items are things of the house too, so that no single word decides.
pub(super) const FILLERS: &[Fillers] = &[
    Fillers {
        name: "room",
        common: &["kitchen", "bedroom", "hall", "bathroom", "office", "garage", "attic", "living room", "dining room"],
        held_out: &["cellar", "study", "guest room"],
    },
    Fillers {
        name: "light",
        common: &["lights", "light", "lamp", "ceiling lamp", "floor lamp", "lamps"],
        held_out: &["reading lamp", "ceiling lights"],
    },
    Fillers {
        name: "blind",
        common: &["blinds", "shutters", "curtains", "blind"],
        held_out: &["roller blinds", "shades"],
    },
    Fillers {
        name: "music",
        common: &["jazz", "rock", "piano music", "dance music", "mozart", "opera", "folk songs", "blues", "techno"],
        held_out: &["salsa", "chopin", "guitar music"],
    },
    Fillers {
        name: "item",
        common: &[
            "lamp",
            "radio",
            "alarm clock",
            "vacuum",
            "heater",
            "umbrella",
            "curtain",
            "jacket",
            "mug",
            "backpack",
            "blanket",
            "kettle",
            "tent",
            "speaker",
            "carpet",
            "keyboard",
        ],
        held_out: &["robot", "desk lamp", "scarf", "toaster", "window blind"],
    },
    Fillers {
        name: "color",
        common: &["red", "blue", "green", "black", "white", "grey", "light blue", "dark red"],
        held_out: &["yellow", "dark green", "brown"],
    },
    Fillers {
        name: "city",
        common: &["oslo", "lisbon", "vienna", "boston", "kyoto", "lima", "cairo", "dublin"],
        held_out: &["prague", "accra", "turin"],
    },
    Fillers {
        name: "day",
        common: &["today", "tomorrow", "on monday", "on friday", "on sunday", "this weekend", "tonight"],
        held_out: &["on tuesday", "next week", "on saturday"],
    },
    Fillers {
        name: "date",
        common: &["today", "tomorrow", "monday", "friday", "sunday", "the weekend"],
        held_out: &["tuesday", "next week", "saturday"],
    },
    Fillers {
        name: "time",
        common: &[
            "six",
            "half past six",
            "seven thirty",
            "8 am",
            "noon",
            "5 pm",
            "a quarter to nine",
            "9:15",
            "ten tonight",
        ],
        held_out: &["half past eight", "6:45", "eleven"],
    },
    Fillers {
        name: "number",
        common: &["16", "17", "18", "19", "20", "22", "twenty", "nineteen"],
        held_out: &["21", "23", "eighteen"],
    },
];
