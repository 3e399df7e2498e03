import datetime
import unittest

from userprofile import api


def request_of(name, **fields):
    return api.request_of(api.message(name).DESCRIPTOR, fields)


class RequestTest(unittest.TestCase):
    def test_a_mask_may_be_text(self):
        for mask in ("user_id,study_track", ["user_id", "study_track"]):
            request = request_of("ListProfilesRequest", read_mask=mask)
            self.assertEqual(
                list(request.read_mask.paths), ["user_id", "study_track"]
            )
        request = request_of("ListProfilesRequest", read_mask="")
        self.assertEqual(list(request.read_mask.paths), [])

    def test_a_time_has_a_zone(self):
        naive = datetime.datetime(2025, 10, 19, 8)
        with self.assertRaisesRegex(TypeError, "tzinfo"):
            request_of("UpsertUserRequest", user_id=1, occurred_at=naive)
        zone = datetime.timezone(datetime.timedelta(hours=1))
        request = request_of(
            "UpsertUserRequest", occurred_at=naive.replace(tzinfo=zone)
        )
        self.assertEqual(request.occurred_at.ToSeconds(), 1760857200)


if __name__ == "__main__":
    unittest.main()
