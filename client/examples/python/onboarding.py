"""What the bot says to whom. Knows neither Telegram nor the service."""

QUESTIONS = {
    "real_name": "What is your name?",
    "nickname": "Which nickname shall others see?",
    "study_track": "What is your field of study?",
    "grade_year": "Which grade are you in?",
}


class Refused(Exception):
    """The service refuses answers, for good."""

    def __init__(self, fields, why):
        super().__init__(why)
        self.fields = fields


class Onboarding:
    """Asks the questions, and greets those who have answered them.

    What was answered so far is kept in memory alone: if the bot is killed
    within a conversation, it asks what it forgot once more. A finished
    conversation is the service's, and is never forgotten.
    """

    def __init__(self, complete):
        """complete(user_id, answers) stores the answers, or raises Refused; any
        other exception means that they could not be stored now."""
        self._complete = complete
        self._answers = {}  # by user

    def reply(self, recognized, name, user_id, text, question):
        """The bot's reply to a text of whoever has that name; `question` is the
        bot's own message that it replies to, if it does. May be asked again about
        the same text."""
        if recognized == "unknown":
            return "Sorry, I can't look you up. Please write again later."
        if recognized == "onboarded":
            self._answers.pop(user_id, None)
            return f"Welcome back, {name}!"
        begun = user_id in self._answers
        answers = self._answers.setdefault(user_id, {})
        field = _field_of(question) or (_next_field(answers) if begun else None)
        if field and text and not text.startswith("/"):
            answers[field] = text
        ask = _next_field(answers)
        if ask:
            greeting = "" if begun else _greeting(recognized)
            return greeting + QUESTIONS[ask]
        try:
            self._complete(user_id, answers)
        except Refused as refusal:
            for refused in refusal.fields:
                answers.pop(refused, None)
            ask = _next_field(answers)
            return f"{refusal} {QUESTIONS[ask]}" if ask else str(refusal)
        del self._answers[user_id]
        return f"Thank you, {answers['real_name']}. I will remember you."


def _greeting(recognized):
    return "Hello! " if recognized == "new" else "Hello again! "


def _next_field(answers):
    return next((field for field in QUESTIONS if field not in answers), None)


def _field_of(question):
    for field, text in QUESTIONS.items():
        if question and question.endswith(text):
            return field
    return None
