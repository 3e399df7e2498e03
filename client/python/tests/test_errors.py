import unittest

import grpc
from userprofile import UserProfileError, api


class ErrorsTest(unittest.TestCase):
    def test_what_cannot_be_read_hides_neither_the_code_nor_the_rest(self):
        info = api.message("google.rpc.ErrorInfo")(reason="USER_NOT_FOUND")
        status = api.message("google.rpc.Status")(code=5)
        for name, value in (
            ("BadRequest", b"\xff"),
            ("ErrorInfo", info.SerializeToString()),
        ):
            url = f"type.googleapis.com/google.rpc.{name}"
            status.details.add(type_url=url, value=value)
        error = UserProfileError.of_status(status)
        self.assertEqual(error.code, grpc.StatusCode.NOT_FOUND)
        self.assertEqual(error.reason, "USER_NOT_FOUND")
        status.code = 99
        error = UserProfileError.of_status(status)
        self.assertEqual(error.code, grpc.StatusCode.UNKNOWN)


if __name__ == "__main__":
    unittest.main()
