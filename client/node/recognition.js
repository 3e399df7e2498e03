'use strict';

// What the answer to a contact says of who that is: "new" if this contact
// created the user, "onboarded" once they have answered the questions,
// "returning" else. Nobody who was known before is ever "new".
function recognitionOf(response) {
  if (response.created) return 'new';
  return response.profile.onboarding_completed ? 'onboarded' : 'returning';
}

module.exports = { recognitionOf };
