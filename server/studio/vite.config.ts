// Builds everything into one HTML file, which is committed: installing from git needs no Node.
import { defineConfig } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

export default defineConfig({
  plugins: [viteSingleFile({ removeViteModuleLoader: true })],
  build: {
    rollupOptions: { input: "studio.html" },
    outDir: process.env.STUDIO_OUT ?? "../kontext_server/assets",
    emptyOutDir: false,
    modulePreload: false,
    target: "es2022",
    // What browsers have had since 2024 stays as written: light-dark() above all.
    cssTarget: ["chrome123", "safari17.5", "firefox120"],
  },
});
