window.onload = () => {
  const credentials = $CREDENTIALS;
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayOperationId: true,
    docExpansion: "none",
    filter: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: "StandaloneLayout",
    onComplete: () => {
      for (const [scheme, value] of Object.entries(credentials)) {
        window.ui.preauthorizeApiKey(scheme, value);
      }
    },
  });
};
