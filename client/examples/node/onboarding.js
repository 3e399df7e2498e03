'use strict';
// What the bot says to whom. Knows neither Telegram nor the service.

const QUESTIONS = {
  real_name: 'What is your name?',
  nickname: 'Which nickname shall others see?',
  study_track: 'What is your field of study?',
  grade_year: 'Which grade are you in?',
};

// The service refuses answers, for good.
class Refused extends Error {
  constructor(fields, why) {
    super(why);
    this.fields = fields;
  }
}

// Asks the questions, and greets those who have answered them. What was
// answered so far is kept in memory alone: if the bot is killed within a
// conversation, it asks what it forgot once more. A finished conversation is
// the service's, and is never forgotten.
class Onboarding {
  // complete(userId, answers) stores the answers, or throws Refused; any other
  // error means that they could not be stored now.
  constructor(complete) {
    this.complete = complete;
    this.answers = new Map(); // by user
  }

  // The bot's reply to a text; `question` is the bot's own message that it
  // replies to, if it does. May be asked again about the same text.
  async reply(contact, userId, text, question) {
    const profile = contact.profile;
    if (profile.onboarding_completed) {
      this.answers.delete(userId);
      return `Welcome back, ${profile.real_name || profile.first_name}!`;
    }
    const begun = this.answers.has(userId);
    if (!begun) this.answers.set(userId, {});
    const answers = this.answers.get(userId);
    const field = fieldOf(question) || (begun ? nextField(answers) : undefined);
    if (field && text && !text.startsWith('/')) answers[field] = text;
    let ask = nextField(answers);
    if (ask) {
      const greeting = contact.created ? 'Hello! ' : 'Hello again! ';
      return (begun ? '' : greeting) + QUESTIONS[ask];
    }
    try {
      await this.complete(userId, answers);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      for (const refused of error.fields) delete answers[refused];
      ask = nextField(answers);
      return error.message + (ask ? ' ' + QUESTIONS[ask] : '');
    }
    this.answers.delete(userId);
    return `Thank you, ${answers.real_name}. I will remember you.`;
  }
}

function nextField(answers) {
  return Object.keys(QUESTIONS).find((field) => !(field in answers));
}

function fieldOf(question) {
  return Object.keys(QUESTIONS).find(
    (field) => question && question.endsWith(QUESTIONS[field]));
}

module.exports = { Onboarding, Refused };
