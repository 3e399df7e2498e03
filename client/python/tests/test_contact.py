import json
import pathlib
import unittest

from google.protobuf import json_format
from userprofile import UserProfileError, contact_of

FILE = pathlib.Path(__file__).parents[2] / "telegram/testdata/contacts.jsonl"


class ContactTest(unittest.TestCase):
    def test_is_what_the_file_says(self):
        lines = FILE.read_text(encoding="utf-8").splitlines()
        self.assertGreater(len(lines), 60)
        for line in map(json.loads, lines):
            with self.subTest(line["what"]):
                if "error" in line:
                    with self.assertRaises(UserProfileError) as raised:
                        contact_of(line["update"], line.get("bot"))
                    self.assertEqual(str(raised.exception), line["error"])
                    self.assertTrue(raised.exception.is_refused)
                    continue
                contact = contact_of(line["update"], line.get("bot"))
                if contact is not None:
                    contact = json_format.MessageToDict(
                        contact, preserving_proto_field_name=True
                    )
                self.assertEqual(contact, line["request"])

    def test_the_bot_may_be_its_number(self):
        update = {"update_id": 3, "message": {"from": {"id": 7, "is_bot": False}}}
        self.assertEqual(contact_of(update, 123).event_id, "123:3")

    def test_half_of_a_surrogate_pair_is_replaced(self):
        user = json.loads(r'{"id": 7, "is_bot": false, "first_name": "A\ud83d"}')
        contact = contact_of({"message": {"from": user}})
        self.assertEqual(contact.identity.first_name, "A\ufffd")


if __name__ == "__main__":
    unittest.main()
