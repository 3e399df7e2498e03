import { ErrorReason, Methods, OnboardingAnswersInput, Profile, ProfileInput,
  UpdateProfileRequest, UpsertUserRequest, UpsertUserResponse } from './api';

export * from './api';

export interface ClientOptions {
  /** HOST:PORT, or any other gRPC target. 127.0.0.1:50051 by default. */
  server?: string;

  /**
   * Encrypts the connection; files are PEM. caFile says whom to believe that a
   * certificate is the server's; without it, those whom Node believes. The
   * certificate that this client shows is given with its key.
   */
  tls?: boolean | { caFile?: string; certificateFile?: string; keyFile?: string };

  /** Sent as "authorization: Bearer ..."; needs tls. Blanks around it are left out. */
  token?: string;

  /**
   * Milliseconds after which a call without an answer fails, 10000 by default.
   * They include waiting for the server to come up, and all tries.
   */
  timeout?: number;
}

/**
 * The service, with all methods of the API. Make one per process. A call waits
 * for a server that is away, and is tried again while that is UNAVAILABLE; it
 * fails with a UserProfileError. A request that does not fit its type is a
 * TypeError. watchProfiles goes on by itself, from the last event that was dealt
 * with, when a server stops; store an event's resume_token to go on in another
 * process.
 */
export interface Client extends Methods {
  /** Ends watches, quietly. Calls afterwards fail with a UserProfileError. */
  close(): void;
}

export function createClient(options?: ClientOptions): Client;

/** No error says that a user is new, but for NOT_FOUND of getProfile and the like. */
export class UserProfileError extends Error {
  /** For stand-ins in tests. Details are messages of google.rpc, each as an Any. */
  constructor(code: number, message: string,
    details?: Array<{ type_url: string; value: Uint8Array }>);
  /** gRPC's code, and its name, such as "NOT_FOUND". */
  code: number;
  status: string;
  /** The service's reason; empty if gRPC itself made the error. */
  reason: ErrorReason;
  metadata: Record<string, string>;
  fieldViolations: Array<{ field: string; description: string }>;
  /** Milliseconds, if the service says when to try again. */
  retryAfter?: number;
  /** To try again is of no use, and it says nothing about the user. */
  readonly isRefused: boolean;
}

export type Recognition = 'new' | 'returning' | 'onboarded';

/** What the answer to a contact says of who that is. */
export function recognitionOf(response: UpsertUserResponse): Recognition;

/**
 * Who contacts the bot with an update, as the request for upsertUser; null if the
 * update is nobody's contact. Throws UserProfileError if it is no update. `bot` says
 * which bot was given it, by its token or id: whoever is new is so again when the
 * bot is given the update again.
 */
export function contactOf(update: object, bot?: string | number): UpsertUserRequest | null;

/** What handlers find as ctx.userprofile. */
export interface Contact {
  /** "ignored" if the update is nobody's contact: a poll's state, a channel post. */
  recognized: Recognition | 'ignored';

  /** As stored; absent if ignored. */
  profile?: Profile;

  /** Stores the answers to the onboarding questions, which makes "onboarded". */
  complete(answers: OnboardingAnswersInput):
    Promise<{ profile: Profile; already_completed: boolean }>;

  /**
   * Changes answers and attributes: those that are given; an attribute that is
   * null is taken away. `more` is the rest of the request, such as
   * expected_revision.
   */
  update(changes: ProfileInput, more?: Omit<UpdateProfileRequest, 'profile'>):
    Promise<{ profile: Profile }>;
}

/** For a context type: type MyContext = Context & UserProfileFlavor. */
export interface UserProfileFlavor {
  userprofile: Contact;
}

export type MiddlewareOptions = { client: Client } | ClientOptions;

/**
 * A middleware for grammY, Telegraf, and node-telegram-bot-api from version 2 on;
 * to be used first. It tells the service of the contact, and calls the next
 * one with ctx.userprofile once that is stored. While the service is away it
 * waits; after the timeout it throws, and no handler is called. An update that
 * userprofile-adapter has marked already is taken as it is.
 */
export function userprofile(options?: MiddlewareOptions):
  (ctx: any, next: () => Promise<void>) => Promise<void>;

/**
 * The same for node-telegram-bot-api before version 2, which has no middleware:
 * messages and other events have a member `userprofile`. Errors go to the bot's
 * "error" event; what may pass is tried until it does.
 */
export function attach(bot: object, options?: MiddlewareOptions): void;

export type SessionStorageOptions = MiddlewareOptions & {
  /** The name under which the bot's sessions are kept apart from others'. */
  bot: string;

  /** Milliseconds after its last write at which a session is forgotten. */
  expiresAfter?: number;

  /** The user whose session it is, by its key; who is deleted takes theirs along. */
  userIdOf?: (key: string) => string | number | bigint | undefined;
};

/** A StorageAdapter of grammY (read, write), and a SessionStore of Telegraf (get, set). */
export interface SessionStorage<T> {
  read(key: string): Promise<T | undefined>;
  write(key: string, value: T): Promise<void>;
  get(key: string): Promise<T | undefined>;
  set(key: string, value: T): Promise<void>;
  delete(key: string): Promise<void>;
}

/**
 * Keeps sessions, as JSON of at most 64 KiB, in the service. A session that was written
 * is on disk. The last who writes wins. Errors, but that there is no session, are
 * thrown: a dialogue does not begin anew because the service was away.
 */
export function sessionStorage<T = any>(options: SessionStorageOptions):
  SessionStorage<T>;
