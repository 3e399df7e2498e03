'use strict';
// What the bots say to whom. Knows no framework.

const QUESTIONS = {
  real_name: 'What is your name?',
  nickname: 'Which nickname shall others see?',
  study_track: 'What is your field of study?',
  grade_year: 'Which grade are you in?',
};

// What was answered so far, by user. It is kept in memory alone: a bot that is
// killed within a conversation asks what it forgot once more. A finished
// conversation is the service's, and is never forgotten.
const conversations = new Map();

// The bot's reply to a message; `contact` is what the middleware found out. May
// be asked again about the same message. An error means that the answers could
// not be stored now.
async function replyTo(contact, message) {
  const { profile, recognized } = contact;
  const user = message.from.id;
  if (recognized === 'onboarded') {
    conversations.delete(user);
    return `Welcome back, ${profile.real_name || profile.first_name}!`;
  }
  const begun = conversations.has(user);
  if (!begun) conversations.set(user, {});
  const answers = conversations.get(user);
  const { text, reply_to_message: question } = message;
  const field = fieldOf(question && question.text) ||
    (begun ? nextField(answers) : undefined);
  if (field && text && !text.startsWith('/')) answers[field] = text;
  const ask = nextField(answers);
  if (ask) {
    const greeting = recognized === 'new' ? 'Hello! ' : 'Hello again! ';
    return (begun ? '' : greeting) + QUESTIONS[ask];
  }
  try {
    await contact.complete(answers);
  } catch (error) {
    if (!error.isRefused) throw error;
    return explain(error, answers);
  }
  conversations.delete(user);
  return `Thank you, ${answers.real_name}. I will remember you.`;
}

// Says why the service refuses the answers, and asks for what was wrong.
function explain(error, answers) {
  if (error.reason === 'ALREADY_ONBOARDED') {
    return 'You have told me all of this before.';
  }
  const isTaken = error.reason === 'NICKNAME_TAKEN';
  const wrong = isTaken ? ['nickname']
    : error.fieldViolations.map(({ field }) => field.split('.').pop());
  for (const field of wrong) delete answers[field];
  const why =
    isTaken ? 'Somebody has this nickname already.' : "I can't store that.";
  const ask = nextField(answers);
  return ask ? `${why} ${QUESTIONS[ask]}` : why;
}

function nextField(answers) {
  return Object.keys(QUESTIONS).find((field) => !(field in answers));
}

function fieldOf(question) {
  return Object.keys(QUESTIONS).find(
    (field) => question && question.endsWith(QUESTIONS[field]));
}

// The next message then says what it is an answer to.
function optionsOf(text) {
  return text.endsWith('?') ? { reply_markup: { force_reply: true } } : {};
}

// For bot.catch(). What is for good is passed over: Telegram's code says that
// the user has blocked the bot, say, or the service refuses the update. After
// anything else the bot ends, before its framework tells Telegram that the
// update is done: whoever starts it again gives it the update again.
function onError(error, code) {
  console.error(error.message);
  if (!error.isRefused && ![400, 403].includes(code)) process.exit(1);
}

// BOT_TOKEN, and as arguments the service and where the Bot API is.
function settings() {
  const [server = '127.0.0.1:50051', apiRoot = 'https://api.telegram.org'] =
    process.argv.slice(2);
  const token = (process.env.BOT_TOKEN || '').trim();
  // An error about a URL that is none would quote it, with the token.
  if (!token || !/^https?:\/\//.test(apiRoot)) {
    console.error('BOT_TOKEN must be set, and the Bot API must be a URL');
    process.exit(2);
  }
  return { token, server, apiRoot };
}

module.exports = { onError, optionsOf, replyTo, settings };
