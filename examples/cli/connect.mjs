// A command-line program that connects itself (RFC 8628), and chats:  node connect.mjs [broker] [question]
import { setTimeout as sleep } from "node:timers/promises";
import * as oauth from "oauth4webapi";
import OpenAI from "openai";

const [broker = "http://localhost:8787", question = "Say hello in five languages."] = process.argv.slice(2);
const client = { client_id: process.env.CLIENT_ID ?? "demo-cli" };
const http = { [oauth.allowInsecureRequests]: broker.startsWith("http://localhost") };

const discovered = await oauth.discoveryRequest(new URL(broker), { algorithm: "oauth2", ...http });
const server = await oauth.processDiscoveryResponse(new URL(broker), discovered);
const asked = await oauth.deviceAuthorizationRequest(server, client, oauth.None(), { scope: "openai:chat" }, http);
const device = await oauth.processDeviceAuthorizationResponse(server, client, asked);
console.log(`Open  ${device.verification_uri_complete}\nand check that it shows the code  ${device.user_code}\n`);

let tokens;
for (let seconds = device.interval ?? 5; !tokens; ) {
  await sleep(seconds * 1000);
  try {
    const polled = await oauth.deviceCodeGrantRequest(server, client, oauth.None(), device.device_code, http);
    tokens = await oauth.processDeviceCodeResponse(server, client, polled);
  } catch ({ error = "unknown error" }) {
    if (error === "slow_down") seconds += 5;
    else if (error !== "authorization_pending") throw new Error(`not connected: ${error}`);
  }
}

const [{ base_url }] = tokens.authorization_details;
const openai = new OpenAI({ baseURL: base_url, apiKey: tokens.access_token });
const messages = [{ role: "user", content: question }];
const stream = await openai.chat.completions.create({ model: "gpt-5-mini", messages, stream: true });
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
console.log();
