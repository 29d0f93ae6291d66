"""The words of the drawn world: every attribute's values and the ways to say them.

The first wording of each value is its plain name; the rest are paraphrases that captions and queries use too.
"""

from __future__ import annotations

POSITIONS = ("middle", "left", "right", "top", "bottom")
PLACES = {
    "middle": ("in the middle", "in the centre"),
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
}
SIDES = ("left", "right")
COUNTS = ("one", "two", "three")
NUMERALS = {"one": ("one", "a single", "1"), "two": ("two", "a pair of", "2"), "three": ("three", "3")}

PLATES = {
    "round": ("round plate", "circular plate"),
    "square": ("square plate", "four-cornered plate"),
    "oval": ("oval platter", "long oval plate"),
    "bowl": ("deep bowl", "bowl"),
}
PLATE_COLOURS = {
    "white": ("white",),
    "blue": ("blue",),
    "green": ("green",),
    "black": ("black",),
    "red": ("red",),
    "yellow": ("yellow",),
}
TABLES = {
    "wood": ("wooden table", "table of brown planks"),
    "marble": ("marble counter", "grey marble table"),
    "checked": ("checked tablecloth", "red and white tablecloth"),
    "slate": ("dark slate table", "slate slab"),
    "linen": ("linen cloth", "plain beige tablecloth"),
}
CUTLERY = {
    "fork": ("fork",),
    "knife": ("knife", "table knife"),
    "spoon": ("spoon",),
    "chopsticks": ("chopsticks", "pair of chopsticks"),
}
NO_CUTLERY = ("no cutlery", "without cutlery")

# singular wordings, plural of the first one; mass nouns are counted in portions
INGREDIENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "tomato": (("tomato", "tomatoes"),),
    "cucumber": (("cucumber slice", "cucumber slices"), ("slice of cucumber", "slices of cucumber")),
    "carrot": (("carrot", "carrots"),),
    "broccoli": (("broccoli floret", "broccoli florets"), ("piece of broccoli", "pieces of broccoli")),
    "egg": (("fried egg", "fried eggs"), ("egg", "eggs")),
    "shrimp": (("shrimp", "shrimps"), ("prawn", "prawns")),
    "mushroom": (("mushroom", "mushrooms"),),
    "olive": (("black olive", "black olives"), ("olive", "olives")),
    "lemon": (("lemon slice", "lemon slices"), ("slice of lemon", "slices of lemon")),
    "fish": (("fish", "fishes"), ("grilled fish", "grilled fishes")),
    "steak": (("steak", "steaks"), ("beef steak", "beef steaks")),
    "rice": (("mound of rice", "mounds of rice"), ("scoop of rice", "scoops of rice")),
    "noodles": (("nest of noodles", "nests of noodles"), ("swirl of pasta", "swirls of pasta")),
    "cheese": (("cheese wedge", "cheese wedges"), ("piece of cheese", "pieces of cheese")),
    "corn": (("corn cob", "corn cobs"), ("ear of corn", "ears of corn")),
    "onion": (("onion ring", "onion rings"), ("red onion slice", "red onion slices")),
    "pepper": (("bell pepper", "bell peppers"), ("green pepper", "green peppers")),
    "basil": (("basil leaf", "basil leaves"),),
    "avocado": (("avocado half", "avocado halves"), ("avocado", "avocados")),
    "strawberry": (("strawberry", "strawberries"),),
    "potato": (("potato", "potatoes"),),
    "peas": (("pea pod", "pea pods"), ("pod of peas", "pods of peas")),
    "bread": (("slice of bread", "slices of bread"), ("toast", "toasts")),
    "blueberry": (("blueberry", "blueberries"),),
}

SPECIES: dict[str, tuple[tuple[str, str], ...]] = {
    "elephant": (("elephant", "elephants"),),
    "giraffe": (("giraffe", "giraffes"),),
    "rabbit": (("rabbit", "rabbits"), ("hare", "hares")),
    "deer": (("deer", "deer"), ("stag", "stags")),
    "fox": (("fox", "foxes"),),
    "owl": (("owl", "owls"),),
    "duck": (("duck", "ducks"),),
    "turtle": (("turtle", "turtles"), ("tortoise", "tortoises")),
    "snake": (("snake", "snakes"),),
    "butterfly": (("butterfly", "butterflies"),),
    "snail": (("snail", "snails"),),
    "crab": (("crab", "crabs"),),
}
ANIMAL_COLOURS = {
    "white": ("white",),
    "black": ("black",),
    "grey": ("grey", "gray"),
    "brown": ("brown",),
    "golden": ("golden", "yellow"),
    "red": ("red",),
}
BEHAVIOURS = {
    "resting": ("resting", "keeping still"),
    "sleeping": ("sleeping", "asleep"),
    "eating": ("eating an apple", "eating"),
    "running": ("running", "rushing along"),
    "playing": ("playing with a ball", "with a ball"),
}
# with their prepositions, so that every wording fits into a sentence and into a modification
HABITATS = {
    "forest": ("in a forest", "in the woods"),
    "desert": ("in a desert", "on desert sand"),
    "snow": ("on a snowy field", "in the snow"),
    "meadow": ("on a green meadow", "in a meadow"),
    "lake": ("on a lake shore", "beside a lake"),
    "mountain": ("in the mountains", "on a rocky mountain slope"),
}
WEATHERS = {
    "sunny": ("in bright sun", "under a sunny sky"),
    "cloudy": ("under grey clouds", "under a cloudy sky"),
    "rainy": ("in the rain", "under a rainy sky"),
    "foggy": ("in fog", "on a foggy day"),
    "night": ("on a starry night", "at night under the moon"),
    "sunset": ("at sunset", "under an orange evening sky"),
}
PLANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "pine": (("pine tree", "pine trees"), ("fir", "firs")),
    "palm": (("palm tree", "palm trees"), ("palm", "palms")),
    "cactus": (("cactus", "cacti"),),
    "flower": (("flower", "flowers"), ("red flower", "red flowers")),
    "bush": (("round bush", "round bushes"), ("shrub", "shrubs")),
}
