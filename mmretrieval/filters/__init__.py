"""Filters: conditions on the metadata of records, in a small language like SQL's.

    cuisine = 'thai' AND price <= 12.5
    taken BETWEEN DATE '2024-06-01' AND DATE '2024-08-31' AND NOT camera.maker IN ('Nikon', 'Canon')
    (tags = 'beach' OR caption LIKE '%sea%') AND stars IS NOT NULL

Fields are `id`, `path`, `caption` and the names of the metadata; a dot leads into nested objects, and a name with
blanks, dots or a word of the language in it stands in double quotes: "focal length", camera."f.number". A comparison
begins with the field; its value is text in single quotes (or double ones, if the shell leaves no choice), a number,
true, false, or a day: DATE '2024-06-01'. There are = != <> < <= > >=, IN, LIKE, BETWEEN, IS NULL, each with NOT, and
AND, OR, NOT, parentheses. Words of the language may be in capitals or not.

What it means for a record:

- A condition is true, false or unknown, and a record is kept when the whole is true. A field that is missing, null or
  an object makes its condition unknown, and so does a value that cannot be compared with the one given. NOT unknown
  is unknown, unknown AND false is false, unknown OR true is true. So `cuisine != 'thai'` leaves out records without
  a cuisine; `cuisine != 'thai' OR cuisine IS NULL` does not. IS NULL is never unknown; an empty caption is null.
- A list is compared by its members: `tags = 'sea'` is true when a member is 'sea', `stars > 3` when one is larger,
  and `tags != 'sea'` when none is, since != is NOT =. For an empty list every comparison is false.
- Text is compared letter by letter in the order of Unicode, capitals before small letters. Times written as
  2024-06-01T12:30 are in their order already.
- A number is compared with numbers, and with text that spells one, as in a table from CSV; true and false likewise.
- A day is compared with text that begins with one, 2024-06-01 or 2024-06-01T12:30, by the day as it is written there.
- LIKE is about text: % stands for any letters, _ for one, a backslash before them for themselves; the letters A to Z
  count as a to z.
- BETWEEN includes both ends; IN is true when = is for one of its values.
"""
