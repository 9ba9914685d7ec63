// Starts GraphiQL on this page's own address. Headers typed by the user are not kept in the browser's storage.
"use strict";

const QUERY = `# Put a credential into "Headers" below:
#   {"Authorization": "Bearer <API key or subject token>", "Consentric-Purpose": "personalisation"}
query Profile {
  profile(by: {record: {source: "shop", key: "1"}}) {
    id
    givenName
    segments { segment { key title } score }
    recommendations(first: 5) { item { key title } score strategy }
  }
}
`;

async function ask(parameters, options) {
  const response = await fetch(window.location.pathname, {
    method: "POST",
    credentials: "omit",
    headers: {
      ...(options && options.headers),
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json, application/json;q=0.9",
    },
    body: JSON.stringify(parameters),
  });
  return response.json();
}

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: ask,
    defaultQuery: QUERY,
    defaultEditorToolsVisibility: "headers",
    shouldPersistHeaders: false,
  }),
);
